# The KEK store on /dev/tpmrm0: a test program that is copied into a machine and run there as root.
add_executable(guest_tpmrm ${CMAKE_CURRENT_LIST_DIR}/tpmrm_guest.cpp ${CMAKE_SOURCE_DIR}/tests/support/test_main.cpp)
target_link_libraries(guest_tpmrm PRIVATE volcrypt_tpm Boost::unit_test_framework)
volcrypt_test(NAME vm_tpmrm TIER vm TIMEOUT 1800 SOURCES ${CMAKE_CURRENT_LIST_DIR}/tpmrm.cpp LIBS volcrypt_test_vm)
target_compile_definitions(vm_tpmrm PRIVATE VOLCRYPT_GUEST_TPMRM="$<TARGET_FILE:guest_tpmrm>")
add_dependencies(vm_tpmrm guest_tpmrm)
