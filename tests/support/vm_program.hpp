// A Boost.Test program of ours that is copied into a machine and passes or fails there; its log becomes part of this
// one.
#pragma once

#include "tests/support/vm_machine.hpp"

namespace volcrypt::test {

struct GuestProgram {
  std::filesystem::path file;  // on the host
  std::string log_level = "test_suite";
  std::string preparation = "true";  // a command line that runs before it, in its environment
  std::chrono::seconds deadline{600};
};

// Checks that it ends well. Its failures stand at the end of the log once more: a log that is shortened in its middle
// still shows them.
void check_passes(Machine& machine, const GuestProgram& program);

}  // namespace volcrypt::test
