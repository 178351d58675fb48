# Bodies and targets of the control API.
set(top ${CMAKE_SOURCE_DIR})
volcrypt_fuzz(NAME control SOURCE ${CMAKE_CURRENT_LIST_DIR}/control_fuzz.cpp CORPUS control
  INSTRUMENT ${top}/agent/control/documents.cpp ${top}/agent/http/json_body.cpp ${top}/agent/http/message.cpp
             ${top}/agent/cluster/etcd_address.cpp ${top}/agent/cluster/store_record.cpp ${top}/agent/http/https_server.cpp ${top}/dmtarget/strict_json.cpp
             ${top}/dmtarget/bytes.cpp ${top}/dmtarget/error.cpp ${top}/dmtarget/uuid.cpp
  LIBS Boost::json Boost::system OpenSSL::Crypto)
if(TARGET unit_corpus_control)
  target_link_libraries(unit_corpus_control PRIVATE volcrypt_documents)
endif()
