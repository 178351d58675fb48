// What a member's KEKs should be, by the stored state: what it lacks, because it was away, and what it has though the
// cluster let it go, because it was no member then. Pure. Any thread.
#pragma once

#include <optional>
#include <set>

#include "agent/cluster/state.hpp"

namespace volcrypt::cluster {

std::set<Generation> missing_keks(const EncryptionState& state, const std::set<Generation>& held);

// `held` must have been looked at before `state` was read: a number is in the stored state before a KEK is made under
// it. Nothing: it cannot be told yet, because encryption is not enabled or the current KEK is not here.
std::optional<std::set<Generation>> stray_keks(const EncryptionState& state, const std::set<Generation>& held);

}  // namespace volcrypt::cluster
