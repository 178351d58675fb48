// Runs the test program of the KEK store on the kernel's resource manager (tpmrm_guest.cpp) in a machine; its log
// becomes part of this one.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "tests/support/vm_machine.hpp"

using namespace volcrypt::test;

BOOST_AUTO_TEST_CASE(the_kek_store_shares_the_kernels_resource_manager_with_other_programs) {
  Machine machine({.name = "tpmrm"});
  BOOST_TEST(machine.start() == "running");
  const std::filesystem::path library(VOLCRYPT_TEST_LIBRARY);
  machine.put(VOLCRYPT_GUEST_TPMRM, "/root/guest_tpmrm");
  machine.put(library, "/root/" + library.filename().string());
  const Outcome outcome =
      machine.run(Command{.line = "cd /root && chmod +x guest_tpmrm && TSS2_LOG=all+NONE LD_LIBRARY_PATH=. "
                                  "./guest_tpmrm --log_level=message --color_output=no 2>&1",
                          .input = {},
                          .deadline = std::chrono::minutes(10)});
  BOOST_TEST_MESSAGE(outcome.out);
  BOOST_TEST(outcome.exit_code == 0, outcome.out);
  BOOST_TEST(outcome.out.find("No errors detected") != std::string::npos);
  BOOST_TEST_MESSAGE(machine.must("journalctl -k -g tpm --no-pager || true"));
}
