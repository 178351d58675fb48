# The package as an administrator meets it.
volcrypt_test(NAME vm_package TIER vm TIMEOUT 1800 SOURCES ${CMAKE_CURRENT_LIST_DIR}/package_life.cpp LIBS volcrypt_test_server)
