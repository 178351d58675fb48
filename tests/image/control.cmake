# The HTTP server on a real unix socket; volcryptctl as a process.
volcrypt_test(NAME image_http_server TIER image SOURCES ${CMAKE_CURRENT_LIST_DIR}/control_server.cpp LIBS volcrypt_http volcrypt_runtime)
# Port 4007's transport on loopback.
volcrypt_test(NAME image_http_tls TIER image
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/http_tls.cpp ${CMAKE_SOURCE_DIR}/tests/support/tls_node.cpp ${CMAKE_SOURCE_DIR}/tests/support/raw_tls.cpp
  LIBS volcrypt_http volcrypt_keys volcrypt_runtime OpenSSL::SSL)
if(TARGET volcryptd AND TARGET volcryptctl)
  volcrypt_test(NAME image_control TIER image
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/control_process.cpp ${CMAKE_CURRENT_LIST_DIR}/control_terminal.cpp
            ${CMAKE_CURRENT_LIST_DIR}/control_completion.cpp ${CMAKE_SOURCE_DIR}/tests/support/program.cpp
            ${CMAKE_SOURCE_DIR}/tests/support/terminal.cpp
    LIBS volcrypt_http volcrypt_runtime volcrypt_dmtarget yaml-cpp)
  target_compile_definitions(image_control PRIVATE VOLCRYPTD="$<TARGET_FILE:volcryptd>" VOLCRYPTCTL="$<TARGET_FILE:volcryptctl>"
                             VOLCRYPT_COMPLETION="${CMAKE_SOURCE_DIR}/agent/cli/volcryptctl.bash")
  add_dependencies(image_control volcryptd volcryptctl)
  volcrypt_test(NAME agent_notify TIER image SOURCES ${CMAKE_CURRENT_LIST_DIR}/agent_notify.cpp ${CMAKE_SOURCE_DIR}/tests/support/program.cpp
                LIBS volcrypt_http volcrypt_dmtarget)
  target_compile_definitions(agent_notify PRIVATE VOLCRYPTD="$<TARGET_FILE:volcryptd>")
  add_dependencies(agent_notify volcryptd)
  volcrypt_test(NAME versions TIER image SOURCES ${CMAKE_CURRENT_LIST_DIR}/versions.cpp ${CMAKE_SOURCE_DIR}/tests/support/program.cpp
                LIBS volcrypt_dmtarget yaml-cpp)
  target_compile_definitions(versions PRIVATE VOLCRYPTD="$<TARGET_FILE:volcryptd>" VOLCRYPTCTL="$<TARGET_FILE:volcryptctl>"
                             VOLCRYPT_VERSION="${PROJECT_VERSION}" VOLCRYPT_BUILD="${CMAKE_BINARY_DIR}" VOLCRYPT_SOURCE="${CMAKE_SOURCE_DIR}")
  add_dependencies(versions volcryptd volcryptctl manual_pages)
endif()
