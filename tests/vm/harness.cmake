# The harness itself: the machines do what the other tests of this tier take for granted.
volcrypt_test(NAME vm_harness TIER vm TIMEOUT 1800 SOURCES ${CMAKE_CURRENT_LIST_DIR}/harness_machine.cpp LIBS volcrypt_test_vm)
