// Group choice: which DEK group a new volume joins. A group holds at most 64 volumes made on one node, so that one TPM
// operation opens many volumes and one group key in memory opens no more than those. Pure. Any thread.
#pragma once

#include <optional>
#include <vector>

#include "agent/cluster/state.hpp"

namespace volcrypt::volumes {

inline constexpr std::size_t max_volumes_per_group = 64;

// The fullest group of `node` that has room; empty: start a new one. `records` includes volumes still being made.
std::optional<Uuid> group_with_room(const std::vector<cluster::VolumeRecord>& records, const Uuid& node);

}  // namespace volcrypt::volumes
