# Volumes over real drives: a test program that is copied into a machine and run there as root.
add_executable(guest_volume
  ${CMAKE_CURRENT_LIST_DIR}/dmvolume_guest_life.cpp ${CMAKE_CURRENT_LIST_DIR}/dmvolume_guest_refusals.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dmvolume_guest_headers.cpp ${CMAKE_CURRENT_LIST_DIR}/dmvolume_guest_shapes.cpp
  ${CMAKE_CURRENT_LIST_DIR}/dmvolume_guest_threads.cpp ${CMAKE_SOURCE_DIR}/tests/support/memory_search.cpp ${CMAKE_SOURCE_DIR}/tests/support/test_main.cpp)
target_link_libraries(guest_volume PRIVATE volcrypt_test_images PkgConfig::KEYUTILS Threads::Threads Boost::unit_test_framework)
target_link_options(guest_volume PRIVATE -Wl,--as-needed)  # the machine has no more libraries than the server needs
volcrypt_test(NAME vm_volume TIER vm TIMEOUT 1800 SOURCES ${CMAKE_CURRENT_LIST_DIR}/dmvolume_volume.cpp LIBS volcrypt_test_vm)
target_compile_definitions(vm_volume PRIVATE VOLCRYPT_GUEST_VOLUME="$<TARGET_FILE:guest_volume>")
add_dependencies(vm_volume guest_volume)
