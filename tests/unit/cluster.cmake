# The cluster's documents, the rotation machine, the store in memory, and the service over fake members.
add_library(volcrypt_cluster_fakes STATIC ../support/fake_member.cpp ../support/memory_store.cpp
            ../support/store_conformance.cpp)
target_link_libraries(volcrypt_cluster_fakes PUBLIC volcrypt_cluster Boost::unit_test_framework)
volcrypt_test(NAME unit_cluster_rotation TIER unit SOURCES cluster_rotation.cpp cluster_rotation_histories.cpp LIBS volcrypt_cluster)
volcrypt_test(NAME unit_cluster_state TIER unit SOURCES cluster_state.cpp LIBS volcrypt_cluster)
volcrypt_test(NAME unit_cluster_membership TIER unit SOURCES cluster_membership.cpp LIBS volcrypt_cluster)
volcrypt_test(NAME unit_cluster_store TIER unit SOURCES cluster_store.cpp cluster_store_move.cpp cluster_change_feed.cpp LIBS volcrypt_cluster_fakes)
volcrypt_test(NAME unit_cluster_service TIER unit SOURCES cluster_service.cpp cluster_service_fates.cpp cluster_changes.cpp LIBS volcrypt_cluster_fakes)
volcrypt_test(NAME unit_cluster_admission TIER unit SOURCES cluster_admission.cpp LIBS volcrypt_cluster)
volcrypt_test(NAME unit_cluster_coordinators TIER unit SOURCES cluster_coordinators.cpp cluster_changing_members.cpp cluster_orphans.cpp LIBS volcrypt_cluster_fakes)
volcrypt_test(NAME unit_cluster_etcd_values TIER unit SOURCES cluster_etcd_values.cpp LIBS volcrypt_cluster)
