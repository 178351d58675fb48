# Part tpm: the KEK store in a TPM, against software TPMs.
set(tpm_support ${CMAKE_SOURCE_DIR}/tests/support/swtpm.cpp ${CMAKE_SOURCE_DIR}/tests/support/tpm_mischief.cpp tpm_fixture.cpp)
volcrypt_test(NAME tpm_objects UNTHREADED TIER tpm SOURCES tpm_objects.cpp ${tpm_support} LIBS volcrypt_tpm)
volcrypt_test(NAME tpm_kek_store UNTHREADED TIER tpm SOURCES tpm_kek_store.cpp ${tpm_support} LIBS volcrypt_tpm)
volcrypt_test(NAME tpm_bus UNTHREADED TIER tpm SOURCES tpm_bus.cpp ${CMAKE_SOURCE_DIR}/tests/support/tcti_proxy.cpp ${tpm_support}
              LIBS volcrypt_tpm)
volcrypt_test(NAME tpm_faults UNTHREADED TIER tpm SOURCES tpm_faults.cpp ${CMAKE_SOURCE_DIR}/tests/support/tcti_proxy.cpp ${tpm_support}
              LIBS volcrypt_tpm)
volcrypt_test(NAME tpm_refusals UNTHREADED TIER tpm SOURCES tpm_refusals.cpp ${tpm_support} LIBS volcrypt_tpm)
volcrypt_test(NAME tpm_pinned UNTHREADED TIER tpm SOURCES tpm_pinned.cpp ${CMAKE_SOURCE_DIR}/tests/support/tcti_proxy.cpp ${tpm_support}
              LIBS volcrypt_tpm)
volcrypt_test(NAME tpm_slots UNTHREADED TIER tpm SOURCES tpm_slots.cpp ${CMAKE_SOURCE_DIR}/tests/support/tcti_proxy.cpp ${tpm_support}
              LIBS volcrypt_tpm)
volcrypt_test(NAME tpm_pcr_race UNTHREADED TIER tpm SOURCES tpm_pcr_race.cpp ${CMAKE_SOURCE_DIR}/tests/support/tcti_proxy.cpp ${tpm_support}
              LIBS volcrypt_tpm)
volcrypt_test(NAME tpm_conformance UNTHREADED TIER tpm
              SOURCES tpm_conformance.cpp ${CMAKE_SOURCE_DIR}/tests/support/kek_conformance.cpp ${CMAKE_SOURCE_DIR}/tests/support/kek_replaced_files.cpp ${CMAKE_SOURCE_DIR}/tests/support/kek_travels.cpp ${CMAKE_SOURCE_DIR}/tests/support/kek_join.cpp ${tpm_support} LIBS volcrypt_tpm)
volcrypt_test(NAME tpm_distribution UNTHREADED TIER tpm
              SOURCES tpm_distribution.cpp ${CMAKE_SOURCE_DIR}/tests/support/tcti_proxy.cpp ${tpm_support} LIBS volcrypt_tpm)
volcrypt_test(NAME tpm_join UNTHREADED TIER tpm SOURCES tpm_join.cpp ${tpm_support} LIBS volcrypt_tpm)
volcrypt_test(NAME tpm_wipe UNTHREADED TIER tpm SOURCES tpm_wipe.cpp ${CMAKE_SOURCE_DIR}/tests/support/memory_search.cpp ${tpm_support}
              LIBS volcrypt_tpm)
volcrypt_test(NAME tpm_soak UNTHREADED TIER tpm SOURCES tpm_soak.cpp ${tpm_support} LIBS volcrypt_tpm)
add_executable(tpm_scenario tpm_scenario.cpp)
target_link_libraries(tpm_scenario PRIVATE volcrypt_tpm)
volcrypt_test(NAME tpm_crash UNTHREADED TIER tpm
              SOURCES tpm_crash.cpp ${tpm_support} LIBS volcrypt_tpm volcrypt_failing_program)
target_compile_definitions(tpm_crash PRIVATE VOLCRYPT_TPM_SCENARIO="$<TARGET_FILE:tpm_scenario>")
add_dependencies(tpm_crash tpm_scenario)
if(TEST tpm_crash AND EXISTS /dev/shm)
  set_property(TEST tpm_crash APPEND PROPERTY ENVIRONMENT "TMPDIR=/dev/shm")
endif()
