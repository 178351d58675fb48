# The server in a machine, the story on it, and the demo that tells it.
add_library(volcrypt_test_server STATIC ${CMAKE_CURRENT_LIST_DIR}/server.cpp ${CMAKE_CURRENT_LIST_DIR}/story.cpp)
add_executable(volcrypt_key_holder ${CMAKE_CURRENT_LIST_DIR}/key_holder.cpp)
target_compile_definitions(volcrypt_test_server PRIVATE VOLCRYPT_BUILD_DIRECTORY="${CMAKE_BINARY_DIR}"
                           VOLCRYPT_KEY_HOLDER="$<TARGET_FILE:volcrypt_key_holder>")
add_dependencies(volcrypt_test_server volcrypt_key_holder)
target_link_libraries(volcrypt_test_server PUBLIC volcrypt_test_vm)

add_executable(volcrypt_demo ${CMAKE_CURRENT_LIST_DIR}/demo.cpp)
target_link_libraries(volcrypt_demo PRIVATE volcrypt_test_server)

volcrypt_test(NAME vm_story TIER vm TIMEOUT 1800 COST 400
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/one_server_story.cpp ${CMAKE_SOURCE_DIR}/tests/support/terminal.cpp LIBS volcrypt_test_server volcrypt_dmtarget)
target_compile_definitions(vm_story PRIVATE VOLCRYPT_DEMO="${CMAKE_SOURCE_DIR}/scripts/demo")
add_dependencies(vm_story volcrypt_demo)
volcrypt_test(NAME vm_agent_life TIER vm TIMEOUT 1800 SOURCES ${CMAKE_CURRENT_LIST_DIR}/agent_life.cpp LIBS volcrypt_test_server)
volcrypt_test(NAME vm_bad_days TIER vm TIMEOUT 1800 COST 800 SOURCES ${CMAKE_CURRENT_LIST_DIR}/bad_days.cpp LIBS volcrypt_test_server)
volcrypt_test(NAME vm_power_cuts TIER vm TIMEOUT 1800 COST 500 SOURCES ${CMAKE_CURRENT_LIST_DIR}/power_cuts.cpp LIBS volcrypt_test_server)
volcrypt_test(NAME vm_plugged_drives TIER vm TIMEOUT 3000 COST 900 SOURCES ${CMAKE_CURRENT_LIST_DIR}/plugged_drives.cpp LIBS volcrypt_test_server)
add_executable(volcrypt_dek_search ${CMAKE_CURRENT_LIST_DIR}/dek_search.cpp ${CMAKE_SOURCE_DIR}/tests/support/key_spellings.cpp)
target_link_libraries(volcrypt_dek_search PRIVATE volcrypt_keys volcrypt_dmtarget)
volcrypt_test(NAME vm_no_leaks TIER vm TIMEOUT 1800 SOURCES ${CMAKE_CURRENT_LIST_DIR}/no_leaks.cpp LIBS volcrypt_test_server)
target_compile_definitions(vm_no_leaks PRIVATE VOLCRYPT_DEK_SEARCH="$<TARGET_FILE:volcrypt_dek_search>")
add_dependencies(vm_no_leaks volcrypt_dek_search)
# Trial, `ctest -L trial`: not seen to pass since settle is given the time that an emulated boot takes.
volcrypt_test(NAME vm_many_volumes TIER trial TIMEOUT 2700 SOURCES ${CMAKE_CURRENT_LIST_DIR}/many_volumes.cpp LIBS volcrypt_test_server)
