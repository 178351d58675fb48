# The seam to the machine: the suite that the image tier runs over plain files, here over real drives, as root in a machine.
add_executable(guest_devices ${CMAKE_CURRENT_LIST_DIR}/volumes_guest_devices.cpp
                             ${CMAKE_SOURCE_DIR}/tests/support/devices_conformance.cpp)
target_link_libraries(guest_devices PRIVATE volcrypt_volumes)
target_link_options(guest_devices PRIVATE -Wl,--as-needed)  # the machine has no more libraries than the server needs
volcrypt_test(NAME vm_devices TIER vm TIMEOUT 1800 SOURCES ${CMAKE_CURRENT_LIST_DIR}/volumes_devices.cpp LIBS volcrypt_test_vm)
target_compile_definitions(vm_devices PRIVATE
  VOLCRYPT_GUEST_DEVICES="$<TARGET_FILE:guest_devices>" VOLCRYPT_UDEV_RULES="${CMAKE_SOURCE_DIR}/udev/65-volcrypt.rules")
add_dependencies(vm_devices guest_devices)
