# The Debian package: cpack -G DEB. Units, rule and manual pages are installed by the folders that own them; the maintainer
# scripts are in scripts/deb. Paths are those of the units, so the prefix is /usr whatever the build tree says.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME volcrypt)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "volcrypt maintainers <volcrypt@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION "Every volume has its own key; one cluster-wide key, held in the servers' TPMs, wraps them all.
A drive that leaves the cluster cannot be read. Volumes appear under /dev/mapper, at boot and on hot-plug.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# What the linker does not see: the rules and the tool that answer device-mapper's cookies, the service manager, the helper that
# remembers what the administrator enabled, and the TPM's transport, which tpm2-tss loads by name.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "dmsetup, udev, systemd (>= 252), init-system-helpers, libtss2-tcti-device0")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "cryptsetup-bin")  # recovery by hand: luksDump, close
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/scripts/deb/postinst ${CMAKE_SOURCE_DIR}/scripts/deb/prerm
    ${CMAKE_SOURCE_DIR}/scripts/deb/postrm ${CMAKE_SOURCE_DIR}/scripts/deb/conffiles)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
