# llhttp as the target llhttp::llhttp, from Debian 13's libllhttp-dev (a CMake
# package) or Debian 12's node-llhttp (the generated C sources, no library).
find_package(llhttp CONFIG QUIET)
if(TARGET llhttp::llhttp_shared)
  add_library(llhttp::llhttp ALIAS llhttp::llhttp_shared)
  set(llhttp_FOUND TRUE)
  return()
endif()

find_path(LLHTTP_INCLUDE_DIR llhttp.h PATHS /usr/share/include PATH_SUFFIXES llhttp)
find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share PATH_SUFFIXES llhttp)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(llhttp
  REQUIRED_VARS LLHTTP_SOURCE_DIR LLHTTP_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "install libllhttp-dev (Debian 13) or node-llhttp (Debian 12)")

if(llhttp_FOUND AND NOT TARGET llhttp::llhttp)
  add_library(llhttp_sys STATIC
    ${LLHTTP_SOURCE_DIR}/api.c ${LLHTTP_SOURCE_DIR}/http.c ${LLHTTP_SOURCE_DIR}/llhttp.c)
  target_include_directories(llhttp_sys SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
  add_library(llhttp::llhttp ALIAS llhttp_sys)
endif()
