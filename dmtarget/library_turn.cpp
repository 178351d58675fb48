// Whose turn it is, and the note of who waits for udev in it.
#include "dmtarget/library_turn.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "dmtarget/error.hpp"

namespace volcrypt::dm {
namespace {

using Clock = std::chrono::steady_clock;

struct Waiting {
  std::string mapping_name;
  Clock::time_point since;
};

std::mutex mutex;  // guards what follows, for moments; not a timed_mutex, whose locking the thread sanitizer cannot see
std::condition_variable freed;
bool taken = false;
std::optional<Waiting> waiting;

}  // namespace

LibraryTurn::LibraryTurn(std::chrono::milliseconds patience) {
  const auto look =
      std::clamp<std::chrono::milliseconds>(patience / 4, std::chrono::milliseconds(1), std::chrono::milliseconds(500));
  std::unique_lock lock(mutex);
  while (!freed.wait_for(lock, look, [] { return !taken; })) {
    if (!waiting || Clock::now() - waiting->since < patience) continue;
    throw Error(errc::timed_out, {"use", "device-mapper",
                                  "udev does not answer: the attach of " + waiting->mapping_name +
                                      " waits for it. Look at `systemctl status systemd-udevd`; `dmsetup udevcookies` "
                                      "shows what waits, `dmsetup udevcomplete_all` ends it."});
  }
  taken = true;
}

LibraryTurn::~LibraryTurn() {
  {
    std::lock_guard lock(mutex);
    taken = false;
  }
  freed.notify_one();
}

UdevWait::UdevWait(const std::string& mapping_name) {
  std::lock_guard lock(mutex);
  waiting = Waiting{mapping_name, Clock::now()};
}

UdevWait::~UdevWait() {
  std::lock_guard lock(mutex);
  waiting.reset();
}

}  // namespace volcrypt::dm
