# Image tests of agent/keys: real files, no TPM.
volcrypt_test(NAME keys_software_store TIER image
              SOURCES ${CMAKE_CURRENT_LIST_DIR}/keys_software_store.cpp
                      ${CMAKE_SOURCE_DIR}/tests/support/kek_conformance.cpp
              LIBS volcrypt_keys)
volcrypt_test(NAME keys_wipe TIER image
              SOURCES ${CMAKE_CURRENT_LIST_DIR}/keys_wipe.cpp ${CMAKE_SOURCE_DIR}/tests/support/memory_search.cpp
              LIBS volcrypt_keys)
