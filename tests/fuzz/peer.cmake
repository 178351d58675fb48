# What nodes say to each other on port 4007.
volcrypt_fuzz(NAME peer_messages SOURCE ${CMAKE_CURRENT_LIST_DIR}/peer_messages_fuzz.cpp CORPUS peer_messages
  INSTRUMENT ${CMAKE_SOURCE_DIR}/agent/peer/messages.cpp ${CMAKE_SOURCE_DIR}/agent/peer/member_messages.cpp ${CMAKE_SOURCE_DIR}/agent/cluster/state.cpp ${CMAKE_SOURCE_DIR}/agent/peer/address.cpp ${keys_instrumented}
  LIBS volcrypt_dmtarget OpenSSL::Crypto)
if(TARGET unit_corpus_peer_messages)
  target_link_libraries(unit_corpus_peer_messages PRIVATE volcrypt_peer)
endif()
