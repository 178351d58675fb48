# The token parser. It is pure text, so its few sources are compiled in again, with coverage.
set(base ${CMAKE_SOURCE_DIR}/dmtarget)
volcrypt_fuzz(NAME token SOURCE ${CMAKE_CURRENT_LIST_DIR}/token_fuzz.cpp CORPUS token
  INSTRUMENT ${base}/bytes.cpp ${base}/canonical.cpp ${base}/error.cpp ${base}/name.cpp ${base}/strict_json.cpp
             ${base}/token.cpp ${base}/uuid.cpp
  LIBS Boost::json Boost::system OpenSSL::Crypto)
# The LUKS2 header around the token, with libcryptsetup's reading of it.
volcrypt_fuzz(NAME header SOURCE ${CMAKE_CURRENT_LIST_DIR}/header_fuzz.cpp CORPUS header
  INSTRUMENT ${base}/block_file.cpp ${base}/bytes.cpp ${base}/canonical.cpp ${base}/error.cpp ${base}/handle.cpp
             ${base}/header_area.cpp ${base}/header_copies.cpp ${base}/header_facts.cpp ${base}/luks.cpp ${base}/name.cpp
             ${base}/secret.cpp ${base}/signatures.cpp ${base}/strict_json.cpp ${base}/table.cpp ${base}/task.cpp
             ${base}/library_turn.cpp ${base}/token.cpp ${base}/uuid.cpp ${CMAKE_SOURCE_DIR}/tests/support/luks_forge.cpp
  LIBS Boost::json Boost::system OpenSSL::Crypto PkgConfig::DEVMAPPER PkgConfig::CRYPTSETUP PkgConfig::BLKID PkgConfig::KEYUTILS)
if(TARGET unit_corpus_header)
  target_link_libraries(unit_corpus_header PRIVATE volcrypt_test_images)
endif()
