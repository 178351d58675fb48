# volcryptd and volcryptctl as processes, software protection, no root.
add_library(volcrypt_test_daemon STATIC ${CMAKE_SOURCE_DIR}/tests/support/daemon.cpp
                                        ${CMAKE_SOURCE_DIR}/tests/support/volume_image.cpp)
target_link_libraries(volcrypt_test_daemon PUBLIC volcrypt_dmtarget)
target_compile_definitions(volcrypt_test_daemon PRIVATE VOLCRYPT_DAEMON="$<TARGET_FILE:volcryptd>"
                                                        VOLCRYPT_CONTROL="$<TARGET_FILE:volcryptctl>")
add_dependencies(volcrypt_test_daemon volcryptd volcryptctl)
volcrypt_test(NAME agent_image TIER image SOURCES agent_software.cpp LIBS volcrypt_test_daemon)
