# The parsers of agent/keys: files from outside the cluster, and the files of a key store. Pure text or plain files: their
# sources are compiled in again, with coverage. The library itself is not linked then: clang 14 cannot build its coroutines.
set(keys ${CMAKE_SOURCE_DIR}/agent/keys)
set(keys_instrumented ${keys}/admin_key_file.cpp ${keys}/authority.cpp ${keys}/box.cpp ${keys}/dek_wrap.cpp
    ${keys}/documents.cpp ${keys}/kek_files.cpp ${keys}/kept_file.cpp ${keys}/node_key.cpp ${keys}/p256.cpp
    ${keys}/join_proof.cpp ${keys}/messages.cpp ${keys}/credential.cpp ${keys}/tpm_wrap.cpp ${keys}/passphrase.cpp ${keys}/recovery.cpp ${keys}/software_kek_store.cpp ${keys}/symmetric.cpp
    ${keys}/tpm_digests.cpp ${keys}/tpm_duplicate.cpp ${keys}/tpm/node_document.cpp
    ${CMAKE_SOURCE_DIR}/agent/runtime/durable_file.cpp)
foreach(parser recovery_bundle admin_key_file node_files node_messages kept_file)
  volcrypt_fuzz(NAME ${parser} SOURCE ${CMAKE_CURRENT_LIST_DIR}/${parser}_fuzz.cpp CORPUS ${parser}
    INSTRUMENT ${keys_instrumented} LIBS volcrypt_dmtarget OpenSSL::Crypto)
  if(TARGET unit_corpus_${parser})
    target_link_libraries(unit_corpus_${parser} PRIVATE volcrypt_tpm)
  endif()
endforeach()

# The documents of the cluster's store.
set(cluster ${CMAKE_SOURCE_DIR}/agent/cluster)
foreach(parser cluster_documents membership)
  volcrypt_fuzz(NAME ${parser} SOURCE ${CMAKE_CURRENT_LIST_DIR}/${parser}_fuzz.cpp CORPUS ${parser}
    INSTRUMENT ${cluster}/membership.cpp ${cluster}/recovery_note.cpp ${cluster}/state.cpp ${keys_instrumented} LIBS volcrypt_dmtarget OpenSSL::Crypto)
  if(TARGET unit_corpus_${parser})
    target_link_libraries(unit_corpus_${parser} PRIVATE volcrypt_cluster)
  endif()
endforeach()

# What stands between a node and its membership.
volcrypt_fuzz(NAME admission SOURCE ${CMAKE_CURRENT_LIST_DIR}/admission_fuzz.cpp CORPUS admission
  INSTRUMENT ${cluster}/admission.cpp ${keys_instrumented} LIBS volcrypt_dmtarget OpenSSL::Crypto)
if(TARGET unit_corpus_admission)
  target_link_libraries(unit_corpus_admission PRIVATE volcrypt_cluster)
endif()

# What a node keeps beside the store.
volcrypt_fuzz(NAME local_records SOURCE ${CMAKE_CURRENT_LIST_DIR}/local_records_fuzz.cpp CORPUS local_records
  INSTRUMENT ${CMAKE_SOURCE_DIR}/agent/node_record.cpp ${cluster}/pinned_state.cpp ${cluster}/membership.cpp ${keys_instrumented}
             ${cluster}/store_record.cpp ${cluster}/etcd_address.cpp ${CMAKE_SOURCE_DIR}/agent/http/https_server.cpp
  LIBS volcrypt_dmtarget OpenSSL::Crypto)
if(TARGET unit_corpus_local_records)
  target_link_libraries(unit_corpus_local_records PRIVATE volcrypt_agent)
endif()
volcrypt_fuzz(NAME catalogue_copy SOURCE ${CMAKE_CURRENT_LIST_DIR}/catalogue_copy_fuzz.cpp CORPUS catalogue_copy
  INSTRUMENT ${CMAKE_SOURCE_DIR}/agent/volumes/snapshot.cpp ${cluster}/intent.cpp ${cluster}/membership.cpp ${cluster}/state.cpp ${keys_instrumented}
  LIBS volcrypt_dmtarget OpenSSL::Crypto)
if(TARGET unit_corpus_catalogue_copy)
  target_link_libraries(unit_corpus_catalogue_copy PRIVATE volcrypt_volumes)
endif()
