# Headers and volumes on plain files, without root.
add_library(volcrypt_test_images STATIC
  ${CMAKE_SOURCE_DIR}/tests/support/luks_forge.cpp ${CMAKE_SOURCE_DIR}/tests/support/volume_image.cpp)
target_link_libraries(volcrypt_test_images PUBLIC volcrypt_dmtarget OpenSSL::Crypto)

volcrypt_test(NAME image_luks TIER image
  SOURCES dmvolume_luks.cpp dmvolume_copies.cpp dmvolume_forged.cpp dmvolume_foreign.cpp
  LIBS volcrypt_test_images)

volcrypt_test(NAME image_volume TIER image
  SOURCES dmvolume_formattable.cpp dmvolume_verbs.cpp
  LIBS volcrypt_test_images)

# Each step of each header write fails or crashes: see tests/support/failpoints.hpp.
add_executable(dmvolume_step dmvolume_step.cpp)
target_link_libraries(dmvolume_step PRIVATE volcrypt_test_images)
volcrypt_test(NAME image_volume_crash UNTHREADED TIER image TIMEOUT 1200
  SOURCES dmvolume_crash_test.cpp
  LIBS volcrypt_test_images volcrypt_failing_program)
target_compile_definitions(image_volume_crash PRIVATE VOLCRYPT_STEP_PROGRAM="$<TARGET_FILE:dmvolume_step>")
add_dependencies(image_volume_crash dmvolume_step)
