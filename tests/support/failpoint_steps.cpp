// Counting, failing, ending; see failpoint_steps.hpp.
#include "tests/support/failpoint_steps.hpp"

#include <errno.h>

namespace volcrypt::failpoint {

std::recursive_mutex mutex;

namespace {

constexpr std::size_t sector = 512;
long steps = 0;

struct Report {
  ~Report() {
    if (plan().count_file.empty()) return;
    const bool reached = plan().at > 0 && steps >= plan().at;
    append(plan().count_file, std::to_string(steps) + (reached ? " 1\n" : " 0\n"), O_TRUNC);
  }
} report;

}  // namespace

void crash() {
  take_back();  // nothing was remembered where the plan loses nothing
  ::syscall(SYS_exit_group, crash_status);
  __builtin_unreachable();
}

bool may_go_on(const char* what, const std::string& path, bool& is_the_step) {
  ++steps;
  is_the_step = steps == plan().at;
  if (!plan().trace_file.empty())
    append(plan().trace_file, std::to_string(steps) + " " + what + " " + path + "\n", O_APPEND);
  if (is_the_step && plan().how == How::crash) crash();
  bool fails = plan().how == How::error && plan().at > 0 && (is_the_step || (plan().stays && steps > plan().at));
  if (fails) errno = plan().error;
  return !fails;
}

bool cuts_and_crashes() { return plan().how == How::torn || plan().how == How::sliver; }

std::size_t part_of(std::size_t length) {
  if (length <= 1) return length;
  if (plan().how == How::torn || plan().how == How::shortened) return length / 2;
  if (plan().how == How::sliver) return length / 8 < sector ? length / 8 : sector;
  return length;
}

}  // namespace volcrypt::failpoint
