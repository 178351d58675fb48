# volcryptd and volcryptctl as processes, software protection, no root.
add_library(volcrypt_test_daemon STATIC ${CMAKE_SOURCE_DIR}/tests/support/daemon.cpp
                                        ${CMAKE_SOURCE_DIR}/tests/support/volume_image.cpp)
target_link_libraries(volcrypt_test_daemon PUBLIC volcrypt_http volcrypt_dmtarget Boost::unit_test_framework)
target_compile_definitions(volcrypt_test_daemon PRIVATE VOLCRYPT_DAEMON="$<TARGET_FILE:volcryptd>"
                                                        VOLCRYPT_DAEMON_OVER_FILES="$<TARGET_FILE:volcryptd_over_files>"
                                                        VOLCRYPT_CONTROL="$<TARGET_FILE:volcryptctl>")
add_dependencies(volcrypt_test_daemon volcryptd volcryptctl volcryptd_over_files)
add_executable(volcryptd_over_files ${CMAKE_SOURCE_DIR}/tests/support/volcryptd_over_files.cpp)
target_link_libraries(volcryptd_over_files PRIVATE volcrypt_test_node)
volcrypt_test(NAME agent_image TIER image SOURCES agent_software.cpp LIBS volcrypt_test_daemon)
set(verb_formats ${CMAKE_SOURCE_DIR}/tests/support/verb_formats.cpp)
volcrypt_test(NAME agent_verbs TIER image SOURCES agent_verbs.cpp ${verb_formats} LIBS volcrypt_test_daemon yaml-cpp)
volcrypt_test(NAME agent_cluster_verbs TIER image SOURCES agent_cluster_verbs.cpp ${verb_formats}
              LIBS volcrypt_test_daemon yaml-cpp)
volcrypt_test(NAME agent_exit_codes TIER image SOURCES agent_exit_codes.cpp LIBS volcrypt_test_daemon)
target_compile_definitions(agent_exit_codes PRIVATE VOLCRYPT_CONTROL="$<TARGET_FILE:volcryptctl>"
                           VOLCRYPT_MANUAL="${CMAKE_SOURCE_DIR}/agent/cli/volcryptctl.1.scd")
volcrypt_test(NAME agent_peer TIER image SOURCES agent_peer.cpp ${CMAKE_SOURCE_DIR}/tests/support/tls_node.cpp
              LIBS volcrypt_test_daemon volcrypt_peer)
volcrypt_test(NAME agent_metrics TIER image SOURCES agent_metrics.cpp LIBS volcrypt_test_daemon)
volcrypt_test(NAME agent_patience TIER image SOURCES agent_patience.cpp ${CMAKE_SOURCE_DIR}/tests/support/terminal.cpp LIBS volcrypt_test_daemon)
target_compile_definitions(agent_patience PRIVATE VOLCRYPT_CONTROL="$<TARGET_FILE:volcryptctl>")
