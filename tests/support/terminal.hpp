// A pseudo-terminal with a program on it: what a person at a keyboard types and sees. Tests only.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "dmtarget/handle.hpp"

namespace volcrypt::tests {

class Terminal {
 public:
  // The program is leader of a session whose controlling terminal this is. Killed at the end of the scope.
  explicit Terminal(const std::vector<std::string>& words, unsigned short columns = 80);
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal();

  // Reads until `text` was shown after what earlier calls waited for. Throws at the deadline, with what was seen.
  void expect(const std::string& text, std::chrono::seconds deadline = std::chrono::seconds{60});
  void type(const std::string& keys);
  bool echoes() const;
  int wait();  // reads to the end, for a minute at most; exit code, or -signal
  const std::string& seen() const noexcept { return seen_; }

 private:
  bool read_some();

  Fd master_, slave_;  // the slave is kept open: the terminal's settings can be looked at after the end
  pid_t pid_ = 0;
  std::string seen_;
  std::size_t expected_ = 0;
};

}  // namespace volcrypt::tests
