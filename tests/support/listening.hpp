// Listening: what this process says on standard error meanwhile, where the log goes without a journal.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "dmtarget/handle.hpp"

namespace volcrypt::test {

class Listening {
 public:
  explicit Listening(std::string file) : file_(std::move(file)), before_(dup(STDERR_FILENO)) {
    const Fd to(open(file_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    dup2(to.get(), STDERR_FILENO);
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
  ~Listening() { dup2(before_.get(), STDERR_FILENO); }

  std::vector<std::string> lines(const std::string& part) const {
    std::ifstream in(file_);
    std::vector<std::string> found;
    for (std::string line; std::getline(in, line);)
      if (line.find(part) != std::string::npos) found.push_back(line);
    return found;
  }

 private:
  std::string file_;
  Fd before_;
};

}  // namespace volcrypt::test
