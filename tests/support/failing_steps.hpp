// Runs a program into every failure of every one of its steps (failpoints.hpp), each time on a fresh copy of what was
// prepared.
#pragma once

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/failpoints.hpp"
#include "tests/support/temporary_directory.hpp"

namespace volcrypt::test {

inline constexpr int said_so = 3;  // the program's exit status when its verb ended with an error

// Under the address sanitizer each way of failing is tried at every third step, another third for each way.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr long stride = 3;
#else
inline constexpr long stride = 1;
#endif

// A directory to start from; copied for each run.
struct Prepared {
  tests::TemporaryDirectory directory;
  std::string whole = directory.path() / "whole", used = directory.path() / "used";

  // `make(directory)` fills it.
  template <class Make>
  explicit Prepared(Make make) {
    std::filesystem::create_directory(whole);
    make(whole);
  }

  void reset() const {
    std::filesystem::remove_all(used);
    std::filesystem::copy(whole, used, std::filesystem::copy_options::recursive);
  }
};

// A disk that loses contents keeps the rename before them, or loses that as well; and a write that came half.
inline std::vector<Failpoint> failures_at(long step) {
  return {{step, "eio"},
          {step, "enospc", true},
          {step, "crash", false, true, true},
          {step, "after", false, true},
          {step, "torn"}};
}

// Runs the program, PATH DIRECTORY VERB ..., into each step and way of failing, each on a fresh copy; `check(status)`
// sees what it left. Tells how many of how many were run.
template <class Check>
void at_every_step(const Prepared& prepared, const std::vector<std::string>& command, Check check) {
  const std::string& verb = command.at(2);
  const FailingProgram program{prepared.used, command};
  prepared.reset();
  const long steps = program.count_steps();
  BOOST_REQUIRE(steps > 10);
  check(0);
  long run = 0, all = 0;
  for (long step = 1; step <= steps; ++step) {
    for (const Failpoint& failpoint : failures_at(step)) {
      const bool is_run = all++ % stride == step % stride || step == 1 || step == steps;
      if (!is_run) continue;
      ++run;
      prepared.reset();
      BOOST_TEST_CONTEXT(verb << ", " << failpoint) {
        try {
          const int status = program.run(failpoint);
          const bool ended_as_it_may = ends_the_program(failpoint) || status == 0 || status == said_so;
          BOOST_TEST(ended_as_it_may, "status " << status);
          check(status);
        } catch (const std::exception& error) {
          BOOST_ERROR(error.what());
        }
      }
    }
  }
  BOOST_TEST_MESSAGE(verb << ": " << steps << " steps; " << run << " of " << all << " failures were run");
}

}  // namespace volcrypt::test
