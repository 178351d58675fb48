# The embedded store on a real file; and its program failing at each of its steps.
volcrypt_test(NAME image_cluster_sqlite TIER image SOURCES cluster_sqlite.cpp LIBS volcrypt_cluster_fakes)

if(TARGET volcrypt_failing_program)
  add_executable(cluster_store_scenario cluster_store_scenario.cpp)
  target_link_libraries(cluster_store_scenario PRIVATE volcrypt_cluster)
  volcrypt_test(NAME image_cluster_store_crash UNTHREADED TIER image SOURCES cluster_store_crash.cpp
                LIBS volcrypt_cluster volcrypt_failing_program)
  target_compile_definitions(image_cluster_store_crash PRIVATE
    VOLCRYPT_STORE_SCENARIO="$<TARGET_FILE:cluster_store_scenario>")
  add_dependencies(image_cluster_store_crash cluster_store_scenario)
endif()
