# What an etcd answers, and how it is written.
volcrypt_fuzz(NAME etcd_answers SOURCE ${CMAKE_CURRENT_LIST_DIR}/etcd_answers_fuzz.cpp CORPUS etcd_answers
  INSTRUMENT ${CMAKE_SOURCE_DIR}/agent/cluster/etcd_messages.cpp ${CMAKE_SOURCE_DIR}/agent/cluster/etcd_address.cpp
             ${CMAKE_SOURCE_DIR}/agent/http/https_server.cpp ${CMAKE_SOURCE_DIR}/agent/http/json_body.cpp
  LIBS volcrypt_dmtarget)
if(TARGET unit_corpus_etcd_answers)
  target_link_libraries(unit_corpus_etcd_answers PRIVATE volcrypt_cluster)
endif()
