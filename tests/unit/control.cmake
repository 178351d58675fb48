# The HTTP layer, the API's texts and volcryptctl, without sockets and agent.
volcrypt_test(NAME unit_http TIER unit SOURCES ${CMAKE_CURRENT_LIST_DIR}/control_http.cpp LIBS volcrypt_http)
if(TARGET volcrypt_cluster AND TARGET volcrypt_volumes)
  volcrypt_test(NAME unit_control TIER unit SOURCES ${CMAKE_CURRENT_LIST_DIR}/control_api.cpp LIBS volcrypt_control yaml-cpp)
  target_compile_definitions(unit_control PRIVATE VOLCRYPT_OPENAPI="${CMAKE_SOURCE_DIR}/agent/control/openapi.yaml")
endif()
if(TARGET volcryptctl)
  volcrypt_test(NAME unit_told_commands TIER unit SOURCES ${CMAKE_CURRENT_LIST_DIR}/control_told_commands.cpp
                LIBS volcrypt_cli)
  target_compile_definitions(unit_told_commands PRIVATE VOLCRYPT_SOURCES="${CMAKE_SOURCE_DIR}")
  volcrypt_test(NAME unit_cli TIER unit SOURCES ${CMAKE_CURRENT_LIST_DIR}/control_cli.cpp LIBS volcrypt_cli)
endif()
