# The token parser. It is pure text, so its few sources are compiled in again, with coverage.
set(base ${CMAKE_SOURCE_DIR}/dmtarget)
volcrypt_fuzz(NAME token SOURCE ${CMAKE_CURRENT_LIST_DIR}/token_fuzz.cpp CORPUS token
  INSTRUMENT ${base}/bytes.cpp ${base}/canonical.cpp ${base}/error.cpp ${base}/name.cpp ${base}/strict_json.cpp
             ${base}/token.cpp ${base}/uuid.cpp
  LIBS Boost::json Boost::system OpenSSL::Crypto)
