# What every target of this project is built with, and the two functions that define the house.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

# -ffp-contract=off: a fused multiply-add is written out where it is wanted, so that the bits of a sum do not depend on
# what the optimiser found (the numerics contract in docs/architecture.md).
add_compile_options(-Wall -Wextra -Wshadow -Wno-missing-field-initializers -Werror -ffp-contract=off -fno-math-errno)
# g++ 12 sees overruns inside std::string where there are none (GCC bugs 105329 and 105651). Whether it does depends on
# what was inlined, so on the length of the folder that the project was cloned into: such warnings cannot be errors.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wno-array-bounds -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g")

# Set by the presets asan, tsan and fuzz (which clang++ builds).
set(FATHOM_SANITIZER "" CACHE STRING "address (with undefined), thread, or fuzzer (address and undefined, libFuzzer)")
if(FATHOM_SANITIZER STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(FATHOM_SANITIZER STREQUAL "thread")
  # g++ says that std::atomic_thread_fence is not modelled; the pool does not use it.
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer -Wno-tsan)
  add_link_options(-fsanitize=thread)
elseif(FATHOM_SANITIZER STREQUAL "fuzzer")
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(FATHOM_SANITIZER)
  message(FATAL_ERROR "FATHOM_SANITIZER is '${FATHOM_SANITIZER}'; it can be address, thread or fuzzer")
endif()

# Most of a compilation is the standard library and nlohmann-json, so that a whole build takes half the time when headers
# that nearly every file includes are parsed once, and a few .cc files of a library are compiled as one. ccache cannot
# keep what is compiled with precompiled headers (unless its sloppiness holds pch_defines and time_macros), and has more
# to keep of files alone, so that both are off by default where there is a compiler launcher.
set(whole ON)
if(CMAKE_CXX_COMPILER_LAUNCHER)
  set(whole OFF)
endif()
option(FATHOM_PRECOMPILED_HEADERS "Parse common headers once" ${whole})
option(FATHOM_UNITY_BUILD "Compile several files of a library as one" ${whole})
# g++ collects garbage less often: a sixth of its time for 100 MB more.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(--param=ggc-min-heapsize=786432)
endif()
set(FATHOM_COMMON_HEADERS <algorithm> <array> <atomic> <chrono> <cmath> <cstdint> <cstring> <filesystem> <functional>
  <map> <memory> <optional> <span> <string> <string_view> <unordered_map> <utility> <vector> <fmt/format.h>)

# fathom_precompile(target group)
#
# All targets of a group share the headers that a target of their own precompiles: GCC refuses precompiled headers to a
# file that lacks one of the definitions they were made with, so that they are made with no more than all have.
function(fathom_precompile target group)
  if(NOT FATHOM_PRECOMPILED_HEADERS)
    return()
  endif()
  set(shared fathom_precompiled_${group})
  if(NOT TARGET ${shared})
    set(empty ${CMAKE_BINARY_DIR}/${shared}.cc)
    file(CONFIGURE OUTPUT ${empty} CONTENT "")
    add_library(${shared} OBJECT ${empty})
    target_link_libraries(${shared} PRIVATE fmt::fmt)
    set(headers ${FATHOM_COMMON_HEADERS})
    if(group STREQUAL test)
      list(APPEND headers <gtest/gtest.h>)
      target_link_libraries(${shared} PRIVATE GTest::gtest)
    endif()
    target_precompile_headers(${shared} PRIVATE ${headers})
  endif()
  target_link_libraries(${target} PRIVATE fmt::fmt)
  target_precompile_headers(${target} REUSE_FROM ${shared})
endfunction()

# fathom_unity(target)
function(fathom_unity target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${FATHOM_UNITY_BUILD} UNITY_BUILD_BATCH_SIZE 6)
endfunction()

# fathom_library(path [SEPARATE] [DEPS lib...])
#
# One static library for the folder src/<path>, from all its .cc files. Its headers are reached as "<path>/name.h", and
# only by targets that link it: each library has an include root of its own (a folder with one link), so that an
# include of a folder that is not linked, an upward one for instance, does not build. SEPARATE: its files are never
# compiled as one, since they have names of their own in common, or options.
function(fathom_library path)
  cmake_parse_arguments(ARG "SEPARATE" "" "DEPS" ${ARGN})
  string(REPLACE "/" "_" name "fathom_${path}")
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${path}/*.cc)
  set(root ${CMAKE_BINARY_DIR}/include/${name})
  cmake_path(GET path PARENT_PATH parent)
  file(MAKE_DIRECTORY ${root}/${parent})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${path} ${root}/${path} SYMBOLIC)
  if(sources)
    add_library(${name} STATIC ${sources})
    fathom_precompile(${name} library)
    if(NOT ARG_SEPARATE)
      fathom_unity(${name})
    endif()
    set(scope PUBLIC)
  else()
    add_library(${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${name} ${scope} ${root})
  target_link_libraries(${name} ${scope} ${ARG_DEPS})
endfunction()

# fathom_tests(folder [DEPS lib...])
#
# One GoogleTest executable from all of tests/<folder>/*_test.cc.
function(fathom_tests folder)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${folder}/*_test.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(${folder}_test ${sources})
  target_link_libraries(${folder}_test PRIVATE ${ARG_DEPS} GTest::gtest_main)
  target_include_directories(${folder}_test PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(${folder}_test PRIVATE
    FATHOM_GOLDEN_DIR="${CMAKE_SOURCE_DIR}/tests/golden"
    FATHOM_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  fathom_precompile(${folder}_test test)
  gtest_discover_tests(${folder}_test DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 600)
endfunction()
