# The store on etcd.
add_library(volcrypt_test_etcd STATIC ${CMAKE_SOURCE_DIR}/tests/support/etcd_cluster.cpp ${CMAKE_SOURCE_DIR}/tests/support/certificates.cpp
            ${CMAKE_SOURCE_DIR}/tests/support/program.cpp)
target_compile_definitions(volcrypt_test_etcd PRIVATE VOLCRYPT_ETCD="${CMAKE_SOURCE_DIR}/scripts/etcd")
target_link_libraries(volcrypt_test_etcd PUBLIC volcrypt_cluster_fakes)
volcrypt_test(NAME etcd_store TIER etcd SOURCES etcd_store.cpp LIBS volcrypt_test_etcd)
volcrypt_test(NAME etcd_trust TIER etcd SOURCES etcd_trust.cpp LIBS volcrypt_test_etcd)
volcrypt_test(NAME etcd_failures TIER etcd COST 600 SOURCES etcd_failures.cpp LIBS volcrypt_test_etcd)
# The daemon with its store there.
volcrypt_test(NAME agent_etcd TIER etcd COST 700 SOURCES agent_etcd.cpp ${CMAKE_SOURCE_DIR}/tests/support/verb_formats.cpp
              LIBS volcrypt_test_daemon volcrypt_test_etcd yaml-cpp)
volcrypt_test(NAME agent_cluster TIER etcd COST 700 SOURCES agent_cluster.cpp ${CMAKE_SOURCE_DIR}/tests/support/verb_formats.cpp
              LIBS volcrypt_test_daemon volcrypt_test_etcd yaml-cpp)
volcrypt_test(NAME agent_kills TIER etcd TIMEOUT 2400 COST 1200 SOURCES agent_kills.cpp ${CMAKE_SOURCE_DIR}/tests/support/swtpm.cpp
              LIBS volcrypt_test_daemon volcrypt_test_etcd volcrypt_tpm)
volcrypt_test(NAME agent_cluster_tpm TIER etcd COST 500 SOURCES agent_cluster_tpm.cpp ${CMAKE_SOURCE_DIR}/tests/support/swtpm.cpp ${CMAKE_SOURCE_DIR}/tests/support/verb_formats.cpp
              LIBS volcrypt_test_daemon volcrypt_test_etcd volcrypt_tpm yaml-cpp)
