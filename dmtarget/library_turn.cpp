// The mutex of library_turn.hpp, and the note of who waits for udev under it.
#include "dmtarget/library_turn.hpp"

#include <algorithm>
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

std::timed_mutex turn;
std::mutex note;  // guards `waiting`, for moments
std::optional<Waiting> waiting;

std::optional<Waiting> who_waits() {
  std::lock_guard lock(note);
  return waiting;
}

}  // namespace

LibraryTurn::LibraryTurn(std::chrono::milliseconds patience) {
  const auto look =
      std::clamp<std::chrono::milliseconds>(patience / 4, std::chrono::milliseconds(1), std::chrono::milliseconds(500));
  while (!turn.try_lock_for(look)) {
    const std::optional<Waiting> other = who_waits();
    if (!other || Clock::now() - other->since < patience) continue;
    throw Error(errc::timed_out, {"use", "device-mapper",
                                  "udev does not answer: the attach of " + other->mapping_name +
                                      " waits for it. Look at `systemctl status systemd-udevd`; `dmsetup udevcookies` "
                                      "shows what waits, `dmsetup udevcomplete_all` ends it."});
  }
}

LibraryTurn::~LibraryTurn() { turn.unlock(); }

UdevWait::UdevWait(const std::string& mapping_name) {
  std::lock_guard lock(note);
  waiting = Waiting{mapping_name, Clock::now()};
}

UdevWait::~UdevWait() {
  std::lock_guard lock(note);
  waiting.reset();
}

}  // namespace volcrypt::dm
