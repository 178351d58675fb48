// The fake machine keeps the promises of the real one: the same suite runs over DmDevices in a virtual machine.
#include "tests/support/devices_conformance.hpp"
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

BOOST_AUTO_TEST_SUITE(volumes_devices)

BOOST_AUTO_TEST_CASE(plain_files_with_mappings_in_memory_keep_the_promises_of_devices) {
  test::ScratchDirectory directory;
  test::FileDevices devices;
  const std::string blank = test::make_drive(directory.path(), "vdb"),
                    other = test::make_drive(directory.path(), "vdc");
  devices.plug(blank);
  devices.plug(other);
  BOOST_CHECK_NO_THROW(test::check_devices(devices, blank, other));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
