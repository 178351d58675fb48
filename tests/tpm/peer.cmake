# What members do for each other on port 4007, with a software TPM each.
volcrypt_test(NAME peer_tpm UNTHREADED TIER tpm
              SOURCES peer_tpm.cpp ${CMAKE_SOURCE_DIR}/tests/support/peer_cluster.cpp ${CMAKE_SOURCE_DIR}/tests/support/peer_conformance.cpp
                      ${CMAKE_SOURCE_DIR}/tests/support/tls_node.cpp ${CMAKE_SOURCE_DIR}/tests/support/swtpm.cpp tpm_fixture.cpp
              LIBS volcrypt_peer volcrypt_cluster_fakes volcrypt_tpm)
