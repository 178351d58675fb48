// Runs the test program of the KEK store on the kernel's resource manager (tpmrm_guest.cpp) in a machine; its log
// becomes part of this one.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include "tests/support/vm_program.hpp"

using namespace volcrypt::test;

BOOST_AUTO_TEST_CASE(the_kek_store_shares_the_kernels_resource_manager_with_other_programs) {
  Machine machine({.name = "tpmrm"});
  BOOST_TEST(machine.start() == "running");
  check_passes(machine,
               {.file = VOLCRYPT_GUEST_TPMRM, .log_level = "message", .preparation = "export TSS2_LOG=all+NONE"});
  BOOST_TEST_MESSAGE(machine.must("journalctl -k -g tpm --no-pager || true"));
}
