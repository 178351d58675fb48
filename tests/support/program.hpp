// Runs a program as a child process: standard output and error collected, passphrases on descriptors 3, 4, ... Tests
// only.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace volcrypt::tests {

struct Ran {
  int status = -1;  // exit code, or -signal
  std::string out, err;
  std::string seen;  // /proc/PID/cmdline and environ while it ran
};

// Throws when the program cannot be started, or has not ended after two minutes (it is killed then).
Ran run(const std::vector<std::string>& words, const std::vector<std::string>& on_descriptors = {});

// A program that goes on until stop() or the end of the scope (SIGKILL). Its output goes to `log`.
class Background {
 public:
  Background(const std::vector<std::string>& words, const std::string& log);
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  ~Background();
  int stop(int signal);  // exit code, or -signal
  void freeze();         // SIGSTOP; returns when no thread of it runs any more
  void thaw();
  pid_t pid() const noexcept { return pid_; }

 private:
  pid_t pid_ = 0;
};

}  // namespace volcrypt::tests
