# What members do for each other on port 4007, with software keys; tests/tpm/peer.cmake does the same with TPMs.
set(peer_support ${CMAKE_SOURCE_DIR}/tests/support/peer_cluster.cpp ${CMAKE_SOURCE_DIR}/tests/support/peer_conformance.cpp
    ${CMAKE_SOURCE_DIR}/tests/support/tls_node.cpp)
volcrypt_test(NAME peer_software TIER image SOURCES ${CMAKE_CURRENT_LIST_DIR}/peer_software.cpp ${peer_support} LIBS volcrypt_peer volcrypt_cluster_fakes)
volcrypt_test(NAME peer_members TIER image SOURCES ${CMAKE_CURRENT_LIST_DIR}/peer_members.cpp ${peer_support} LIBS volcrypt_peer volcrypt_cluster_fakes)
