// See kek_upkeep.hpp.
#include "agent/cluster/kek_upkeep.hpp"

#include <algorithm>

namespace volcrypt::cluster {

namespace {

std::set<Generation> in_use(const EncryptionState& state) {
  auto used = state.previous;
  if (state.current != 0) used.insert(state.current);
  return used;
}

}  // namespace

std::set<Generation> missing_keks(const EncryptionState& state, const std::set<Generation>& held) {
  auto missing = in_use(state);
  std::erase_if(missing, [&](Generation number) { return held.contains(number); });
  return missing;
}

std::optional<std::set<Generation>> stray_keks(const EncryptionState& state, const std::set<Generation>& held) {
  if (state.phase != EncryptionPhase::Enabled || !held.contains(state.current)) return std::nullopt;
  auto wanted = in_use(state);
  wanted.insert(state.retiring.begin(), state.retiring.end());  // their own orders are on their way
  wanted.insert(state.distributing);
  std::set<Generation> strays;
  for (const auto number : held)
    if (!wanted.contains(number) && number <= state.highest_used) strays.insert(number);
  return strays;
}

}  // namespace volcrypt::cluster
