# What the pages take from the distribution: markdown, its sanitiser, mathematics with its fonts, and the colours of code.

# embed_library(name package file): file is below /usr/share.
macro(embed_library name package file)
  if(NOT EXISTS /usr/share/${file})
    message(FATAL_ERROR "the chat page needs /usr/share/${file}, which the package ${package} of Debian 12 has; "
      "scripts/install-packages.sh installs it")
  endif()
  embed(libraries/${name} /usr/share/${file})
endmacro()

embed_library(marked.js libjs-marked javascript/marked/marked.min.js)
embed_library(purify.js node-dompurify nodejs/dompurify/dist/purify.min.js)
embed_library(katex.js libjs-katex javascript/katex/katex.min.js)
embed_library(katex.css libjs-katex javascript/katex/katex.min.css)
foreach(font AMS-Regular Caligraphic-Bold Caligraphic-Regular Fraktur-Bold Fraktur-Regular Main-Bold Main-BoldItalic
    Main-Italic Main-Regular Math-BoldItalic Math-Italic SansSerif-Bold SansSerif-Italic SansSerif-Regular
    Script-Regular Size1-Regular Size2-Regular Size3-Regular Size4-Regular Typewriter-Regular)
  embed_library(fonts/KaTeX_${font}.woff2 fonts-katex fonts/truetype/katex/KaTeX_${font}.woff2)
endforeach()

# highlight.js comes as a core and a CommonJS module a language: those that models write become one script with it.
set(core /usr/share/nodejs/highlight.js/lib)
set(script ${CMAKE_CURRENT_BINARY_DIR}/highlight.js)
if(NOT EXISTS ${core}/highlight.js)
  message(FATAL_ERROR "the chat page needs ${core}/highlight.js, which the package node-highlight.js of Debian 12 has; "
    "scripts/install-packages.sh installs it")
endif()
file(READ ${core}/highlight.js text)
file(WRITE ${script}.new "const hljs = globalThis.hljs = (() => { const module = {};\n${text}\nreturn globalThis.hljs ?? module.exports; })();\n")
foreach(language bash cmake cpp cs css diff dockerfile go haskell ini java javascript json julia kotlin lua makefile
    markdown nginx objectivec perl php powershell protobuf python r ruby rust scala shell sql swift tex typescript
    x86asm xml yaml)
  file(READ ${core}/languages/${language}.js text)
  file(APPEND ${script}.new "hljs.registerLanguage('${language}', (() => { const module = {};\n${text}\nreturn module.exports; })());\n")
endforeach()
file(COPY_FILE ${script}.new ${script} ONLY_IF_DIFFERENT)
embed(libraries/highlight.js ${script})
