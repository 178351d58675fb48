// Settling: may `settle`, and with it volcrypt.target, stop waiting for a volume? Pure. Any thread.
#pragma once

#include <chrono>
#include <optional>

#include "agent/volumes/volume_service.hpp"

namespace volcrypt::volumes {

enum class DetachedBy { nobody, order };

// `quiet_for`: how long udev has had no event under way since the agent's first scan; empty before that scan ended.
// Attached and failed end the wait at once, and what was detached by order. A drive that is absent is waited for until
// udev was quiet for `grace`: a slow one may still be spinning up, one that is gone must not cost the whole timeout.
// What is unknown or on its way ends only with the caller's limit.
inline bool is_settled(Condition condition, DetachedBy detached_by,
                       std::optional<std::chrono::steady_clock::duration> quiet_for,
                       std::chrono::steady_clock::duration grace) {
  switch (condition) {
    case Condition::attached:
    case Condition::failed:
      return true;
    case Condition::absent:
      return detached_by == DetachedBy::order || (quiet_for && *quiet_for >= grace);
    case Condition::detached:
      return detached_by == DetachedBy::order;
    case Condition::unknown:
      break;
  }
  return false;
}

}  // namespace volcrypt::volumes
