# The base of dmtarget: values, texts, secrets, tables.
volcrypt_test(NAME unit_dmbase TIER unit
  SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_bytes.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_canonical.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_error.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_name.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_secret.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_strict_json.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_table.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_token.cpp
  LIBS volcrypt_dmtarget)
