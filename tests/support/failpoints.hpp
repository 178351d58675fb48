// Runs a program with the failpoint library (failpoint_preload.cpp), once per step and way of failing: the
// deterministic crash tier. The program is given by path and arguments, and works on files below one directory.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace volcrypt::test {

struct Failpoint {
  long at = 0;              // 0: nothing fails
  std::string how = "eio";  // "eio", "enospc", "crash", "after", "torn", "sliver", "short"
  bool stays = false;       // every later step fails too
  bool loses = false;       // at a crash, what was not flushed is lost: contents
  bool forgets = false;     // and so are names: renames, links, unlinks, new files and directories
};

std::ostream& operator<<(std::ostream& out, const Failpoint& failpoint);
bool ends_the_program(const Failpoint& failpoint);

inline constexpr int crash_status = 86;  // the exit status of a program that was ended at its failpoint

// Where steps are counted, and what is run. CMake gives the path of the library as VOLCRYPT_FAILPOINT_LIBRARY.
struct FailingProgram {
  std::string directory;
  std::vector<std::string> command;

  // Its exit status. Throws if a signal ended it, and when it never came to the step, or went on from a step that must
  // end it: a test of a failure that did not happen shows nothing.
  int run(const Failpoint& failpoint) const;
  long count_steps() const;  // runs it to its normal end, without a failure
};

// Every way to fail at step `at`, for loops.
std::vector<Failpoint> ways_to_fail(long at);

}  // namespace volcrypt::test
