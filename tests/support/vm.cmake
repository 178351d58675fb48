# The virtual machines of the vm tier and of the demo.
find_package(Boost 1.81 REQUIRED COMPONENTS filesystem)
add_library(volcrypt_test_vm STATIC ${CMAKE_CURRENT_LIST_DIR}/vm_process.cpp ${CMAKE_CURRENT_LIST_DIR}/vm_channel.cpp
            ${CMAKE_CURRENT_LIST_DIR}/vm_monitor.cpp ${CMAKE_CURRENT_LIST_DIR}/vm_guest.cpp ${CMAKE_CURRENT_LIST_DIR}/vm_drive.cpp
            ${CMAKE_CURRENT_LIST_DIR}/vm_machine.cpp ${CMAKE_CURRENT_LIST_DIR}/vm_program.cpp)
target_compile_definitions(volcrypt_test_vm PRIVATE VOLCRYPT_VM_IMAGE="${CMAKE_SOURCE_DIR}/scripts/vm-image"
                           VOLCRYPT_TEST_LIBRARY="$<TARGET_FILE:Boost::unit_test_framework>")
target_link_libraries(volcrypt_test_vm PUBLIC Boost::json Boost::filesystem OpenSSL::Crypto Boost::system Boost::unit_test_framework Threads::Threads)
