#include "tests/support/vm_program.hpp"

#include <boost/test/unit_test.hpp>
#include <sstream>

namespace volcrypt::test {

namespace {

// Boost.Test's words: "FILE(LINE): error: in …", "fatal error: in …" and the context lines below.
std::string failures_of(const std::string& log) {
  std::string failures;
  bool within = false;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    within = line.find("error: in \"") != std::string::npos || (within && line.starts_with(' ')) ||
             line.starts_with("Failure occurred");
    if (within) failures += line + '\n';
  }
  return failures;
}

}  // namespace

void check_passes(Machine& machine, const GuestProgram& program) {
  const std::string name = program.file.filename().string();
  const std::filesystem::path library(VOLCRYPT_TEST_LIBRARY);  // Boost.Test's, which no machine has
  machine.put(program.file, "/root/" + name);
  machine.put(library, "/root/" + library.filename().string());
  const Outcome outcome = machine.run(Command{.line = "cd /root && export LD_LIBRARY_PATH=. && " + program.preparation +
                                                      " && chmod +x " + name + " && ./" + name +
                                                      " --log_level=" + program.log_level + " --color_output=no 2>&1",
                                              .input = {},
                                              .deadline = program.deadline});
  BOOST_TEST_MESSAGE(outcome.out);
  BOOST_TEST(outcome.exit_code == 0);
  BOOST_TEST(outcome.out.find("No errors detected") != std::string::npos, failures_of(outcome.out));
}

}  // namespace volcrypt::test
