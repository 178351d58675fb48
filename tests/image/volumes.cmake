# VolumeService on plain files: software keys, SQLite store, real headers, mappings in memory.
add_library(volcrypt_test_node STATIC ${CMAKE_SOURCE_DIR}/tests/support/test_node.cpp
                                      ${CMAKE_SOURCE_DIR}/tests/support/file_devices.cpp
                                      ${CMAKE_SOURCE_DIR}/tests/support/file_drives.cpp)
target_link_libraries(volcrypt_test_node PUBLIC volcrypt_agent)
volcrypt_test(NAME volumes_image TIER image
              SOURCES member_stray_keks.cpp volumes_attach.cpp volumes_create.cpp volumes_create_and_rotate.cpp volumes_cut_delete.cpp volumes_drives.cpp volumes_elsewhere.cpp volumes_forget.cpp volumes_forged.cpp volumes_hanging.cpp volumes_header.cpp volumes_missed.cpp volumes_repair.cpp volumes_rewrap.cpp volumes_take_over.cpp volumes_unreadable.cpp volumes_devices.cpp
                      ${CMAKE_SOURCE_DIR}/tests/support/volume_image.cpp
                      ${CMAKE_SOURCE_DIR}/tests/support/luks_forge.cpp
                      ${CMAKE_SOURCE_DIR}/tests/support/devices_conformance.cpp
              LIBS volcrypt_test_node)
add_executable(volumes_scenario volumes_scenario.cpp)
target_link_libraries(volumes_scenario PRIVATE volcrypt_test_node)
add_executable(cluster_scenario cluster_scenario.cpp)
target_link_libraries(cluster_scenario PRIVATE volcrypt_test_node)
foreach(crash volumes_crash volumes_crash_rotation cluster_crash)
  volcrypt_test(NAME ${crash} UNTHREADED TIER image TIMEOUT 1800 COST 1000
                SOURCES ${crash}.cpp ${CMAKE_SOURCE_DIR}/tests/support/volume_image.cpp
                LIBS volcrypt_test_node volcrypt_failing_program)
  target_compile_definitions(${crash} PRIVATE VOLCRYPT_VOLUMES_SCENARIO="$<TARGET_FILE:volumes_scenario>"
                                              VOLCRYPT_CLUSTER_SCENARIO="$<TARGET_FILE:cluster_scenario>")
  add_dependencies(${crash} volumes_scenario cluster_scenario)
  if(TEST ${crash} AND EXISTS /dev/shm)  # their thousands of fsyncs are counted, not waited for
    set_property(TEST ${crash} APPEND PROPERTY ENVIRONMENT "TMPDIR=/dev/shm")
  endif()
endforeach()
