# Headers and volumes on plain files, without root.
volcrypt_test(NAME image_luks TIER image
  SOURCES dmvolume_luks.cpp dmvolume_copies.cpp dmvolume_forged.cpp dmvolume_foreign.cpp
          ${CMAKE_SOURCE_DIR}/tests/support/luks_forge.cpp ${CMAKE_SOURCE_DIR}/tests/support/volume_image.cpp
  LIBS volcrypt_dmtarget OpenSSL::Crypto)
