# The units and the udev rule, checked by systemd's own tools.
volcrypt_test(NAME unit_systemd_units TIER unit SOURCES ${CMAKE_CURRENT_LIST_DIR}/units_verify.cpp LIBS Boost::boost)
target_compile_definitions(unit_systemd_units PRIVATE VOLCRYPT_UNITS="${CMAKE_SOURCE_DIR}/systemd")
