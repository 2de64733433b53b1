# What `make package` puts into a .deb: the binary, units for systemd, the configuration, the documents.
include(GNUInstallDirs)
install(TARGETS fathom RUNTIME)
install(FILES deploy/systemd/fathom.service deploy/systemd/fathom.socket DESTINATION lib/systemd/system)
install(FILES deploy/systemd/fathom.env deploy/systemd/serve.toml DESTINATION /etc/fathom)
install(DIRECTORY docs/ DESTINATION share/doc/fathom FILES_MATCHING PATTERN "*.md" PATTERN claims EXCLUDE
  PATTERN images EXCLUDE)
install(FILES README.md DESTINATION share/doc/fathom)
install(FILES LICENSE DESTINATION share/doc/fathom RENAME copyright)
install(FILES deploy/grafana/fathom.json DESTINATION share/fathom/grafana)
install(DIRECTORY deploy/kubernetes DESTINATION share/fathom)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME fathom)
set(CPACK_PACKAGE_CONTACT "The authors of Fathom <fathom@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Trains, serves and costs DeepSeek-style language models")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${CMAKE_SOURCE_DIR}/deploy/debian/postinst ${CMAKE_SOURCE_DIR}/deploy/debian/prerm
  ${CMAKE_SOURCE_DIR}/deploy/debian/postrm ${CMAKE_SOURCE_DIR}/deploy/debian/conffiles)
include(CPack)
