# Failpoints: programs that fail or crash at each of their writes.
add_library(volcrypt_failpoints SHARED ${CMAKE_CURRENT_LIST_DIR}/failpoint_preload.cpp ${CMAKE_CURRENT_LIST_DIR}/failpoint_steps.cpp
                                       ${CMAKE_CURRENT_LIST_DIR}/failpoint_journal.cpp ${CMAKE_CURRENT_LIST_DIR}/failpoint_plan.cpp)
# It is loaded into programs with other sanitizers, or none.
target_compile_options(volcrypt_failpoints PRIVATE -fno-sanitize=all -U_FORTIFY_SOURCE)
target_link_options(volcrypt_failpoints PRIVATE -fno-sanitize=all)

# For tests that run a program into its failpoints: link it, it knows where the library is.
add_library(volcrypt_failing_program STATIC ${CMAKE_CURRENT_LIST_DIR}/failpoints.cpp)
target_compile_definitions(volcrypt_failing_program PRIVATE
  VOLCRYPT_FAILPOINT_LIBRARY="$<TARGET_FILE:volcrypt_failpoints>")
add_dependencies(volcrypt_failing_program volcrypt_failpoints)
