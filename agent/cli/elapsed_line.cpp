// A line of elapsed time, see elapsed_line.hpp.
#include "agent/cli/elapsed_line.hpp"

#include <chrono>
#include <cstdio>

#include "agent/cli/table.hpp"

namespace volcrypt::cli {

ElapsedLine::ElapsedLine(const Session& session, std::string deed)
    : deed_(printable(deed)), columns_(session.columns()) {
  if (session.watched()) drawer_ = std::thread([this] { draw(); });
}

ElapsedLine::~ElapsedLine() {
  if (!drawer_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_one();
  drawer_.join();
}

void ElapsedLine::draw() {
  std::unique_lock lock(mutex_);
  bool drawn = false;
  for (unsigned seconds = 1; !changed_.wait_for(lock, std::chrono::seconds(1), [this] { return ended_; }); ++seconds) {
    if (seconds < 2) continue;  // most of what is quick needs no word
    const std::string line = deed_ + ": " + std::to_string(seconds) + " s";
    std::fprintf(stderr, "\r\033[K%s", line.substr(0, columns_ - 1).c_str());
    std::fflush(stderr);
    drawn = true;
  }
  if (drawn) std::fputs("\r\033[K", stderr);
}

}  // namespace volcrypt::cli
