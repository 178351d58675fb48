# Part tpm: the KEK store in a TPM, against software TPMs.
set(tpm_support ${CMAKE_SOURCE_DIR}/tests/support/swtpm.cpp tpm_fixture.cpp)
volcrypt_test(NAME tpm_objects TIER tpm SOURCES tpm_objects.cpp ${tpm_support} LIBS volcrypt_tpm)
