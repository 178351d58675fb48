// Runs the test program of volumes (dmvolume_guest_*.cpp) over real drives in a machine; its log becomes part of this
// one.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "tests/support/vm_program.hpp"

using namespace volcrypt::test;

BOOST_AUTO_TEST_CASE(volumes_behave_on_real_drives_in_a_machine_with_udev) {
  Machine machine({.name = "volume"});
  machine.plug(machine.new_drive("one"));
  machine.plug(machine.new_drive("two"));
  machine.plug(machine.new_drive("wide", {.mebibytes = 64, .logical_block_bytes = 4096}));
  const Drive& odd = machine.new_drive("odd");
  std::filesystem::resize_file(odd.file(), (64 << 20) + 512);
  machine.plug(odd);
  BOOST_TEST(machine.start() == "running");
  check_passes(machine, {.file = VOLCRYPT_GUEST_VOLUME, .preparation = "mkdir -p -m 0700 /run/cryptsetup"});
  BOOST_TEST(machine.must("dmsetup ls").find("No devices found") != std::string::npos);
}
