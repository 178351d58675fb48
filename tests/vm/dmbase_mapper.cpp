// Runs the test program of live mappings (dmbase_guest_*.cpp) in a machine; its log becomes part of this one.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "tests/support/vm_program.hpp"

using namespace volcrypt::test;

BOOST_AUTO_TEST_CASE(live_mappings_behave_in_a_machine_with_udev) {
  Machine machine({.name = "mapper"});
  BOOST_TEST(machine.start() == "running");
  check_passes(machine, {.file = VOLCRYPT_GUEST_MAPPER});
  BOOST_TEST(machine.must("dmsetup ls").find("No devices found") != std::string::npos);
}
