# Live mappings: a test program that is copied into a machine and run there as root.
add_executable(guest_mapper ${CMAKE_CURRENT_LIST_DIR}/dmbase_guest_mapper.cpp ${CMAKE_CURRENT_LIST_DIR}/dmbase_guest_dead_paths.cpp ${CMAKE_SOURCE_DIR}/tests/support/memory_search.cpp
               ${CMAKE_SOURCE_DIR}/tests/support/test_main.cpp)
target_link_libraries(guest_mapper PRIVATE volcrypt_dmtarget PkgConfig::KEYUTILS Threads::Threads Boost::unit_test_framework)
volcrypt_test(NAME vm_mapper TIER vm TIMEOUT 1800 SOURCES ${CMAKE_CURRENT_LIST_DIR}/dmbase_mapper.cpp LIBS volcrypt_test_vm)
target_compile_definitions(vm_mapper PRIVATE VOLCRYPT_GUEST_MAPPER="$<TARGET_FILE:guest_mapper>")
add_dependencies(vm_mapper guest_mapper)
