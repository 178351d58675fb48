# The search of the leak tests.
volcrypt_test(NAME key_search TIER unit SOURCES key_search.cpp ${CMAKE_SOURCE_DIR}/tests/support/key_spellings.cpp
              LIBS volcrypt_dmtarget)
