# The base of dmtarget: values, texts, secrets, tables.
volcrypt_test(NAME unit_dmbase TIER unit
  SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_bytes.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_canonical.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_error.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_library_turn.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_name.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_secret.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_strict_json.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_table.cpp
    ${CMAKE_CURRENT_LIST_DIR}/dmbase_token.cpp
  LIBS volcrypt_dmtarget)

# The rules that no compiler checks, on the sources themselves; each script first shows that it catches violations.
foreach(rule includes coroutines)
  add_test(NAME check_${rule}_self_test COMMAND ${CMAKE_SOURCE_DIR}/scripts/check-${rule} --self-test)
  add_test(NAME check_${rule} COMMAND ${CMAKE_SOURCE_DIR}/scripts/check-${rule} ${CMAKE_SOURCE_DIR})
  set_tests_properties(check_${rule}_self_test check_${rule} PROPERTIES LABELS unit TIMEOUT 60)
endforeach()
