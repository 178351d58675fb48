// What removed nodes leave in the catalogue keeps the KEK generations that it needs: records, intents, and entries of
// which nobody can say what they need.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/cluster/intent.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/fleet.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using namespace std::chrono_literals;

namespace {

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// node2 was removed.
struct OneRemoved : Fleet {
  OneRemoved() : Fleet(2) {
    become_encrypted();
    wait(0, nodes[0]->service->update_membership(document(1, 2)));
  }
  VolumeRecord orphan() const {
    VolumeRecord record;
    record.name = "orphan";
    record.volume = Uuid::random();
    record.group = Uuid::random();
    record.owner = nodes[1]->disk.id;
    record.generation = 1;
    return record;
  }
  void put(const std::string& key, std::string value) { store.entries[key] = {key, std::move(value), 1}; }
  void rotate() {
    at(0, &ClusterService::rotate);
    run_until([&] { return state().current == 2; });
  }
  // Once it is gone, the old generation goes: what was held, was held by it alone.
  void goes_without(const std::string& key) {
    BOOST_TEST(nodes[0]->disk.held.contains(1));
    store.entries.erase(key);
    at(0, &ClusterService::reconsider_retirement);
    run_until([&] { return state().previous.empty(); });
    run_until_rest();
    BOOST_TEST(!nodes[0]->disk.held.contains(1));
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(cluster_orphans, OneRemoved)

BOOST_AUTO_TEST_CASE(a_create_or_delete_of_a_removed_node_that_was_cut_off_keeps_its_generation) {
  put(store_key::intent("orphan"), to_json(Intent{Intention::create, orphan()}));
  rotate();
  run_until_rest();
  BOOST_TEST((state().previous == std::set<Generation>{1}));
  goes_without(store_key::intent("orphan"));
}

BOOST_AUTO_TEST_CASE(the_same_with_the_identity_of_a_drive_in_it) {
  put(store_key::intent("orphan"), to_json(Intent{Intention::erase, orphan(), "0x5000c500a1b2c3d4"}));
  rotate();
  run_until_rest();
  BOOST_TEST((state().previous == std::set<Generation>{1}));
  goes_without(store_key::intent("orphan"));
}

BOOST_AUTO_TEST_CASE(an_entry_that_cannot_be_read_keeps_all_and_is_told_with_the_way_out) {
  VolumeRecord other = orphan();
  other.name = "other";
  for (const std::string& key : {store_key::volume("orphan"), store_key::intent("orphan")}) {
    const bool record = key == store_key::volume("orphan");
    for (const std::string& value : {std::string("rubbish"), record ? to_json(other) : "create " + to_json(other)}) {
      put(key, value);
      const auto current = state().current;
      at(0, &ClusterService::rotate);
      run_until([&] { return state().current > current; });
      run_for(30ms);
      BOOST_TEST(state().previous.contains(current), value);
      BOOST_TEST(nodes[0]->disk.held.contains(current));
      const RotationView view = at(0, &ClusterService::rotation);
      const std::string told = view.waiting_for + view.last_failure;
      BOOST_TEST(holds(told, key), told);
      BOOST_TEST(holds(told, "`volcryptctl forget volume orphan`"), told);
      store.entries.erase(key);
      run_until([&] { return state().previous.empty(); });
      run_until_rest();
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
