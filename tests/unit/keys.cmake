# Unit tests of agent/keys.
volcrypt_test(NAME keys_tpm_digests TIER unit
              SOURCES ${CMAKE_CURRENT_LIST_DIR}/keys_tpm_digests.cpp ${CMAKE_CURRENT_LIST_DIR}/keys_p256.cpp
              LIBS volcrypt_keys)
volcrypt_test(NAME keys_dek_wrap TIER unit
              SOURCES ${CMAKE_CURRENT_LIST_DIR}/keys_dek_wrap.cpp ${CMAKE_CURRENT_LIST_DIR}/keys_box.cpp
              LIBS volcrypt_keys)
volcrypt_test(NAME keys_files TIER unit SOURCES ${CMAKE_CURRENT_LIST_DIR}/keys_files.cpp LIBS volcrypt_keys)
volcrypt_test(NAME keys_authority TIER unit
              SOURCES ${CMAKE_CURRENT_LIST_DIR}/keys_authority.cpp ${CMAKE_CURRENT_LIST_DIR}/keys_recovery.cpp
                      ${CMAKE_CURRENT_LIST_DIR}/keys_members.cpp
              LIBS volcrypt_keys)
volcrypt_test(NAME keys_keyring TIER unit SOURCES ${CMAKE_CURRENT_LIST_DIR}/keys_keyring.cpp LIBS volcrypt_keys)
