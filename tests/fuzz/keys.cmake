# The parsers of agent/keys that read files from outside the cluster. Pure text: their sources are compiled in again.
set(keys ${CMAKE_SOURCE_DIR}/agent/keys)
set(keys_instrumented ${keys}/admin_key_file.cpp ${keys}/authority.cpp ${keys}/box.cpp ${keys}/dek_wrap.cpp
    ${keys}/documents.cpp ${keys}/kek_files.cpp ${keys}/kept_file.cpp ${keys}/node_key.cpp ${keys}/p256.cpp
    ${keys}/passphrase.cpp ${keys}/recovery.cpp ${keys}/software_kek_store.cpp ${keys}/symmetric.cpp
    ${keys}/tpm_digests.cpp ${keys}/tpm_duplicate.cpp)
foreach(parser recovery_bundle admin_key_file)
  volcrypt_fuzz(NAME ${parser} SOURCE ${CMAKE_CURRENT_LIST_DIR}/${parser}_fuzz.cpp CORPUS ${parser}
    INSTRUMENT ${keys_instrumented} LIBS volcrypt_keys OpenSSL::Crypto)
endforeach()
