// Group choice: 64 volumes to a group, per node.
#include <boost/test/unit_test.hpp>

#include "agent/volumes/groups.hpp"

namespace volcrypt::volumes {

namespace {

const Uuid node = Uuid::parse("33333333-3333-4333-8333-333333333333");
const Uuid other_node = Uuid::parse("44444444-4444-4444-8444-444444444444");
const Uuid first = Uuid::parse("00000000-0000-4000-8000-000000000001");
const Uuid second = Uuid::parse("00000000-0000-4000-8000-000000000002");

void add(std::vector<cluster::VolumeRecord>& records, std::size_t count, const Uuid& group, const Uuid& owner) {
  for (std::size_t i = 0; i < count; ++i) {
    cluster::VolumeRecord record;
    record.group = group;
    record.owner = owner;
    records.push_back(record);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(volumes_groups)

BOOST_AUTO_TEST_CASE(the_first_volume_starts_a_group) { BOOST_TEST((group_with_room({}, node) == std::nullopt)); }

BOOST_AUTO_TEST_CASE(the_64th_volume_joins_and_the_65th_starts_a_new_group) {
  std::vector<cluster::VolumeRecord> records;
  add(records, 63, first, node);
  BOOST_TEST((group_with_room(records, node) == first));
  add(records, 1, first, node);
  BOOST_TEST((group_with_room(records, node) == std::nullopt));
}

BOOST_AUTO_TEST_CASE(the_fullest_group_with_room_is_filled_first) {
  std::vector<cluster::VolumeRecord> records;
  add(records, 2, first, node);
  add(records, 5, second, node);
  BOOST_TEST((group_with_room(records, node) == second));
  add(records, 59, second, node);
  BOOST_TEST((group_with_room(records, node) == first));
}

BOOST_AUTO_TEST_CASE(groups_of_other_nodes_are_not_joined) {
  std::vector<cluster::VolumeRecord> records;
  add(records, 3, first, other_node);
  BOOST_TEST((group_with_room(records, node) == std::nullopt));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
