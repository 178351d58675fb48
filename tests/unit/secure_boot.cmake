# Secure Boot as the firmware tells it.
volcrypt_test(NAME secure_boot TIER unit SOURCES secure_boot.cpp LIBS volcrypt_agent)
