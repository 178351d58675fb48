// Runs the test program of volumes (dmvolume_guest_*.cpp) over real drives in a machine; its log becomes part of this
// one.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "tests/support/vm_machine.hpp"

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
  const std::filesystem::path library(VOLCRYPT_TEST_LIBRARY);
  machine.put(VOLCRYPT_GUEST_VOLUME, "/root/guest_volume");
  machine.put(library, "/root/" + library.filename().string());
  const Outcome outcome = machine.run(Command{.line = "cd /root && chmod +x guest_volume && mkdir -p -m 0700 "
                                                      "/run/cryptsetup && LD_LIBRARY_PATH=. "
                                                      "./guest_volume --log_level=test_suite --color_output=no 2>&1",
                                              .input = {},
                                              .deadline = std::chrono::minutes(10)});
  BOOST_TEST_MESSAGE(outcome.out);
  BOOST_TEST(outcome.exit_code == 0, outcome.out);
  BOOST_TEST(outcome.out.find("No errors detected") != std::string::npos);
  BOOST_TEST(machine.must("dmsetup ls").find("No devices found") != std::string::npos);
}
