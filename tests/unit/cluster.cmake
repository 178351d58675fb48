# The cluster's documents and the rotation machine.
volcrypt_test(NAME unit_cluster_rotation TIER unit SOURCES cluster_rotation.cpp LIBS volcrypt_cluster)
volcrypt_test(NAME unit_cluster_state TIER unit SOURCES cluster_state.cpp LIBS volcrypt_cluster)
