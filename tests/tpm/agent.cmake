# volcryptd with a software TPM, volcryptctl against it.
set(agent_tpm_support ${CMAKE_SOURCE_DIR}/tests/support/swtpm.cpp ${CMAKE_SOURCE_DIR}/tests/support/tpm_mischief.cpp)
volcrypt_test(NAME agent_tpm TIER tpm SOURCES agent_tpm.cpp ${agent_tpm_support} LIBS volcrypt_test_daemon volcrypt_tpm)
volcrypt_test(NAME agent_tpm_init TIER tpm
              SOURCES agent_tpm_init.cpp ${CMAKE_SOURCE_DIR}/tests/support/tcti_proxy.cpp ${agent_tpm_support}
              LIBS volcrypt_test_daemon volcrypt_tpm)
volcrypt_test(NAME agent_tpm_abort TIER tpm
              SOURCES agent_tpm_abort.cpp ${CMAKE_SOURCE_DIR}/tests/support/tcti_proxy.cpp ${agent_tpm_support}
              LIBS volcrypt_test_daemon volcrypt_tpm)
volcrypt_test(NAME agent_tpm_verbs TIER tpm
              SOURCES agent_tpm_verbs.cpp ${CMAKE_SOURCE_DIR}/tests/support/tcti_proxy.cpp
                      ${CMAKE_SOURCE_DIR}/tests/support/verb_formats.cpp ${agent_tpm_support}
              LIBS volcrypt_test_daemon volcrypt_tpm yaml-cpp)
