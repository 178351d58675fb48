# Image tests of agent/keys: real files, no TPM.
volcrypt_test(NAME keys_software_store TIER image
              SOURCES ${CMAKE_CURRENT_LIST_DIR}/keys_software_store.cpp
                      ${CMAKE_SOURCE_DIR}/tests/support/kek_conformance.cpp ${CMAKE_SOURCE_DIR}/tests/support/kek_replaced_files.cpp ${CMAKE_SOURCE_DIR}/tests/support/kek_travels.cpp ${CMAKE_SOURCE_DIR}/tests/support/kek_join.cpp
              LIBS volcrypt_keys)
volcrypt_test(NAME keys_wipe UNTHREADED TIER image
              SOURCES ${CMAKE_CURRENT_LIST_DIR}/keys_wipe.cpp ${CMAKE_SOURCE_DIR}/tests/support/memory_search.cpp
              LIBS volcrypt_keys)
volcrypt_test(NAME keys_cut_writes TIER image
              SOURCES ${CMAKE_CURRENT_LIST_DIR}/keys_cut_writes.cpp ${CMAKE_SOURCE_DIR}/tests/support/failing_calls.cpp
              LIBS volcrypt_keys)
# Only volcrypt's own objects are affected: the C library and OpenSSL are shared and keep their calls.
foreach(call open write fsync rename renameat2 unlink)
  target_link_options(keys_cut_writes PRIVATE -Wl,--wrap=${call})
endforeach()
volcrypt_test(NAME keys_locked_memory TIER image SOURCES ${CMAKE_CURRENT_LIST_DIR}/keys_locked_memory.cpp LIBS volcrypt_test_daemon)
target_compile_definitions(keys_locked_memory PRIVATE VOLCRYPT_DAEMON="$<TARGET_FILE:volcryptd>")
volcrypt_test(NAME keys_proof_at_start TIER image
              SOURCES ${CMAKE_CURRENT_LIST_DIR}/keys_proof_at_start.cpp ${CMAKE_SOURCE_DIR}/tests/support/volume_image.cpp
              LIBS volcrypt_test_node)
