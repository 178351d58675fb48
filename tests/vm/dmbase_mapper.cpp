// Runs the test program of live mappings (dmbase_guest_*.cpp) in a machine; its log becomes part of this one.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "tests/support/vm_machine.hpp"

using namespace volcrypt::test;

BOOST_AUTO_TEST_CASE(live_mappings_behave_in_a_machine_with_udev) {
  Machine machine({.name = "mapper"});
  BOOST_TEST(machine.start() == "running");
  const std::filesystem::path library(VOLCRYPT_TEST_LIBRARY);
  machine.put(VOLCRYPT_GUEST_MAPPER, "/root/guest_mapper");
  machine.put(library, "/root/" + library.filename().string());
  const Outcome outcome = machine.run(Command{.line = "cd /root && chmod +x guest_mapper && LD_LIBRARY_PATH=. "
                                                      "./guest_mapper --log_level=test_suite --color_output=no 2>&1",
                                              .input = {},
                                              .deadline = std::chrono::minutes(5)});
  BOOST_TEST_MESSAGE(outcome.out);
  BOOST_TEST(outcome.exit_code == 0, outcome.out);
  BOOST_TEST(outcome.out.find("No errors detected") != std::string::npos);
  BOOST_TEST(machine.must("dmsetup ls").find("No devices found") != std::string::npos);
}
