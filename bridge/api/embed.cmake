# Writes C++ that holds every file of a folder:
#   cmake -DFOLDER=... -DFUNCTION=example_files -DOUTPUT=... -P embed.cmake
# Each becomes a StaticFile (static_files.hpp) with the SHA-256 of its bytes as its tag.
cmake_minimum_required(VERSION 3.25)

set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_svg "image/svg+xml")

file(GLOB_RECURSE names RELATIVE ${FOLDER} ${FOLDER}/*)
list(SORT names)
set(rows "")
foreach(name ${names})
  get_filename_component(extension ${name} LAST_EXT)
  string(REPLACE "." "type_" type "${extension}")
  if(NOT DEFINED ${type})
    message(FATAL_ERROR "${FOLDER}/${name}: no content type is known for *${extension}")
  endif()
  file(SIZE ${FOLDER}/${name} size)
  file(SHA256 ${FOLDER}/${name} hash)
  string(SUBSTRING ${hash} 0 16 tag)
  file(READ ${FOLDER}/${name} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${bytes}")
  string(APPEND rows
    "    {\"${name}\", \"${${type}}\", \"\\\"${tag}\\\"\",\n     {\"${bytes}\", ${size}}},\n")
endforeach()
file(WRITE ${OUTPUT} "#include <array>

#include \"bridge/api/static_files.hpp\"

namespace spoke::bridge {

std::span<StaticFile const> ${FUNCTION}() noexcept {
  static constexpr auto kFiles = std::to_array<StaticFile>({
${rows}  });
  return kFiles;
}

}  // namespace spoke::bridge
")
