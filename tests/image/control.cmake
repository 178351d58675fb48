# The HTTP server on a real unix socket; volcryptctl as a process.
volcrypt_test(NAME image_http_server TIER image SOURCES ${CMAKE_CURRENT_LIST_DIR}/control_server.cpp LIBS volcrypt_http volcrypt_runtime)
if(TARGET volcryptd AND TARGET volcryptctl)
  volcrypt_test(NAME image_control TIER image
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/control_process.cpp ${CMAKE_SOURCE_DIR}/tests/support/program.cpp
    LIBS volcrypt_http volcrypt_dmtarget yaml-cpp)
  target_compile_definitions(image_control PRIVATE VOLCRYPTD="$<TARGET_FILE:volcryptd>" VOLCRYPTCTL="$<TARGET_FILE:volcryptctl>")
  add_dependencies(image_control volcryptd volcryptctl)
endif()
