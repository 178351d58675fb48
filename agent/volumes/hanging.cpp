// Hanging, see hanging.hpp.
#include "agent/volumes/hanging.hpp"

#include "dmtarget/error.hpp"

namespace volcrypt::volumes {

Hanging::Mark::~Mark() {
  if (ended_) *ended_ = true;
}

void Hanging::check(const std::string& object, const std::string& operation) {
  const auto found = calls_.find(object);
  if (found == calls_.end()) return;
  if (*found->second.ended) {
    calls_.erase(found);
    return;
  }
  // No duration in it: a text that changes with every try would be news each time.
  throw Error(errc::timed_out,
              {operation, "while an earlier call hangs",
               "`" + found->second.operation + "` has not come back from " + object +
                   ", and a second call would hang as well. Look at the kernel's log (`journalctl -k`), and check "
                   "its cable, path or controller; it is tried again once that call has ended."});
}

void Hanging::note(const std::string& object, const std::string& operation, Ended ended) {
  if (!*ended) calls_[object] = {operation, std::move(ended)};
}

}  // namespace volcrypt::volumes
