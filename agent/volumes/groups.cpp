// Group choice, see groups.hpp.
#include "agent/volumes/groups.hpp"

#include <map>

namespace volcrypt::volumes {

std::optional<Uuid> group_with_room(const std::vector<cluster::VolumeRecord>& records, const Uuid& node) {
  std::map<Uuid, std::size_t> sizes;
  for (const cluster::VolumeRecord& record : records)
    if (record.owner == node) ++sizes[record.group];
  std::optional<Uuid> best;
  for (const auto& [group, size] : sizes)
    if (size < max_volumes_per_group && (!best || size > sizes[*best])) best = group;
  return best;
}

}  // namespace volcrypt::volumes
