# The Debian package: cpack -G DEB. Units, rule and manual pages are installed by the folders that own them.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME volcrypt)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
include(CPack)
