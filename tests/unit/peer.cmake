# Port 4007's values.
volcrypt_test(NAME peer_values TIER unit SOURCES ${CMAKE_CURRENT_LIST_DIR}/peer_values.cpp LIBS volcrypt_peer)
