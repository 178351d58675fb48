# volcryptd with a software TPM, volcryptctl against it.
volcrypt_test(NAME agent_tpm TIER tpm SOURCES agent_tpm.cpp ${CMAKE_SOURCE_DIR}/tests/support/swtpm.cpp
              ${CMAKE_SOURCE_DIR}/tests/support/tpm_mischief.cpp
              LIBS volcrypt_test_daemon volcrypt_tpm)
