// ElapsedLine: on a terminal, a line on standard error that says what is going on and for how long, from the second
// second until the object ends. Into a log it says nothing: the result follows. A thread of its own draws it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "agent/cli/session.hpp"

namespace volcrypt::cli {

class ElapsedLine {
 public:
  ElapsedLine(const Session& session, std::string deed);  // "erasing volume data1"
  ~ElapsedLine();                                         // the line is gone
  ElapsedLine(const ElapsedLine&) = delete;
  ElapsedLine& operator=(const ElapsedLine&) = delete;

 private:
  void draw();

  const std::string deed_;
  const std::size_t columns_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::thread drawer_;
};

}  // namespace volcrypt::cli
