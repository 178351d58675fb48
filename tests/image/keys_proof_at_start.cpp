// The proof of the kept keys at start: a generation whose files became another KEK's is found against the cluster's
// record, its volume says so, and every other volume goes on. Software keys, real headers on plain files.
#include <fstream>

#include "agent/cluster/keys_of_store.hpp"
#include "agent/keys/box.hpp"
#include "agent/keys/kek_files.hpp"
#include "agent/keys/node_key.hpp"
#include "agent/keys/software_kek_store.hpp"
#include "agent/volumes/unlocking.hpp"
#include "dmtarget/canonical.hpp"
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt {

namespace {

using test::kind_of;

// Volume "old" under generation 1, "new" under generation 2; nothing was rewrapped.
struct TwoGenerations : test::NodeFixture {
  TwoGenerations() {
    node->create("old", drive("a"));
    node->make_current(2);
    node->create("new", drive("b"));
    BOOST_TEST((condition("old") == volumes::Condition::attached));
    BOOST_TEST((condition("new") == volumes::Condition::attached));
  }

  std::filesystem::path keys_directory() const { return directory.path() + "/software"; }
  keys::StoredKek kek(keys::Generation generation) const { return keys::KekFiles(keys_directory()).get(generation); }
  void put(const keys::StoredKek& kek) const {
    keys::KeptFile(keys_directory() / ("kek-" + std::to_string(kek.record.generation))).write(as_bytes(to_json(kek)));
  }
  // What anybody can make who knows the node's public key and our formats: right in itself, record included.
  keys::StoredKek impostor(keys::Generation generation) {
    const Uuid cluster = node->await(node->pin.read())->pin.cluster;
    const auto node_key = keys::open_node_key(keys::KekFiles(keys_directory()).file("node-key"), std::nullopt);
    const Secret key = Secret::random(32);
    const Bytes context =
        Canonical("volcrypt software kek v1").add(cluster).add(node->member.id()).add(generation).bytes();
    keys::StoredKek made = kek(generation);
    made.record.name = keys::software_kek_name(cluster, generation, key);
    made.blob = keys::seal_box(node_key->point, context, key);
    return made;
  }
  std::string use(keys::Generation generation) {
    const auto group_keys = [generation](keys::KekStore& store) {
      return store.group_keys(generation, {Uuid::random()}).size();
    };
    return kind_of([&] { node->await(node->keys.chosen().with("use", group_keys)); });
  }
  void lose_record(keys::Generation generation) {
    cluster::Transaction transaction;
    transaction.then = {cluster::Delete{cluster::store_key::generation(generation)}};
    BOOST_REQUIRE(node->await(node->store.commit(std::move(transaction))).has_value());
  }
  std::vector<std::string> warnings() { return node->await(node->member.key_warnings()); }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(keys_proof_at_start, TwoGenerations)

BOOST_AUTO_TEST_CASE(an_impostor_kek_is_found_told_and_not_used_and_other_volumes_go_on) {
  const keys::StoredKek good = kek(1);
  put(impostor(1));
  reboot();
  node->await(node->volumes.start());
  BOOST_TEST((condition("old") == volumes::Condition::failed));  // its own wrap says that the key is another
  BOOST_TEST((condition("new") == volumes::Condition::attached));
  BOOST_TEST(use(1) == "none");  // what the proof is for: nothing on this node tells

  const ProofAtStart::Outcome check = node->await(node->member.prove_kept_keys());
  BOOST_TEST(check.found_more);
  BOOST_TEST(!check.undecided);
  BOOST_TEST(use(1) == "impostor_kek");
  BOOST_TEST(use(2) == "none");
  BOOST_REQUIRE(warnings().size() == 1U);
  BOOST_TEST(warnings()[0].find("KEK generation 1 failed its proof") == 0U);
  BOOST_TEST(!node->await(node->member.prove_kept_keys()).found_more);  // told once

  node->await(node->volumes.attach_missing());
  BOOST_TEST(node->await(node->volumes.get("old")).failure_kind == "impostor_kek");
  BOOST_TEST((condition("new") == volumes::Condition::attached));

  put(good);
  BOOST_TEST(!node->await(node->member.prove_kept_keys()).undecided);
  BOOST_TEST(warnings().empty());
  node->await(node->volumes.attach_missing());
  BOOST_TEST((condition("old") == volumes::Condition::attached));
}

// An agent that has just started: nothing was proved yet, and the impostor is right in itself.
BOOST_AUTO_TEST_CASE(nothing_is_wrapped_under_an_impostor_before_the_proof_at_start) {
  const keys::StoredKek good = kek(2);
  put(impostor(2));
  reboot();
  node->await(node->volumes.start());
  const std::string blank = drive("c");
  BOOST_TEST(kind_of([&] { node->create("third", blank); }) == "impostor_kek");
  BOOST_TEST(kind_of([&] { node->devices->look(blank); }) != "none");  // nothing was written
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).failures.size() == 1U);
  BOOST_TEST(header_generation(directory.path() + "/a") == 1U);
  put(good);
  BOOST_TEST((node->create("third", blank).condition == volumes::Condition::attached));
  const cluster::RewrapProgress progress = node->await(node->volumes.rewrap_all(2));
  BOOST_TEST(progress.failures.empty());
  BOOST_TEST(progress.done == 3U);
  reboot();
  node->await(node->volumes.start());
  for (const char* name : {"old", "new", "third"}) BOOST_TEST((condition(name) == volumes::Condition::attached));
}

// Nor is a volume that was away rewrapped under it when it returns; it is attached by its old generation all the same.
BOOST_AUTO_TEST_CASE(a_returning_volume_is_attached_and_not_rewrapped_under_an_impostor) {
  put(impostor(2));
  reboot();
  node->await(node->volumes.start());
  BOOST_TEST((condition("old") == volumes::Condition::attached));
  BOOST_TEST(header_generation(directory.path() + "/a") == 1U);
}

BOOST_AUTO_TEST_CASE(a_group_key_that_was_made_to_unwrap_is_not_used_to_wrap) {
  const keys::KekRecord record = kek(2).record;
  put(impostor(2));
  reboot();
  volumes::Unlocking unlocking(node->keys);
  const Uuid group = Uuid::random();
  const volumes::GroupKey held = node->await(unlocking.group_key(2, group));
  BOOST_TEST(kind_of([&] { node->await(unlocking.proved_group_key(record, group)); }) == "impostor_kek");
}

BOOST_AUTO_TEST_CASE(a_generation_without_its_record_is_told_and_the_others_are_proved_against_theirs) {
  lose_record(1);
  put(impostor(2));
  reboot();
  const ProofAtStart::Outcome check = node->await(node->member.prove_kept_keys());
  BOOST_TEST(check.found_more);
  BOOST_TEST(use(1) == "none");  // by its own record
  BOOST_TEST(use(2) == "impostor_kek");
  BOOST_REQUIRE(warnings().size() == 2U);
  BOOST_TEST(warnings()[0].find("KEK generation 2 failed its proof") == 0U);
  BOOST_TEST(warnings()[1].find("The store's record of KEK generation 1 cannot be used: it is missing.") == 0U);
}

BOOST_AUTO_TEST_CASE(without_the_record_of_the_current_generation_volumes_open_and_none_is_made) {
  lose_record(2);
  reboot();
  node->await(node->volumes.start());
  BOOST_TEST((condition("new") == volumes::Condition::attached));
  BOOST_TEST(kind_of([&] { node->create("third", drive("c")); }) == "store_damaged");
  BOOST_TEST(warnings().size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_damaged_generation_is_told_and_the_others_are_used) {
  for (const char* name : {"kek-1", "kek-1.copy"}) {
    std::fstream file(keys_directory() / name, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(150);
    file.put('\n');
  }
  reboot();
  node->await(node->volumes.start());
  BOOST_TEST(node->await(node->member.prove_kept_keys()).found_more);
  BOOST_REQUIRE(warnings().size() == 1U);
  BOOST_TEST(warnings()[0].find("KEK generation 1 failed its proof") == 0U);
  BOOST_TEST(node->await(node->volumes.get("old")).failure_kind == "store_damaged");
  BOOST_TEST((condition("new") == volumes::Condition::attached));
}

// FAILURES.md G: ocs-ci#3861, a key service that lived on what it unlocks; here nothing beside the node is needed.
BOOST_AUTO_TEST_CASE(without_the_store_the_keys_are_proved_against_the_nodes_own_records) {
  node->break_store();
  const ProofAtStart::Outcome check = node->await(node->member.prove_kept_keys());
  BOOST_TEST(!check.found_more);
  BOOST_TEST(!check.undecided);
  BOOST_TEST(use(1) == "none");
  keys::StoredKek wrong = kek(1);
  wrong.record.name.back() ^= 1U;
  put(wrong);
  BOOST_TEST(node->await(node->member.prove_kept_keys()).found_more);
  BOOST_TEST(use(1) == "impostor_kek");
  BOOST_TEST(use(2) == "none");
}

BOOST_AUTO_TEST_CASE(a_generation_that_was_retired_is_not_missed) {
  node->await(node->volumes.rewrap_all(2));
  node->forget(1);
  BOOST_TEST(!node->await(node->member.prove_kept_keys()).found_more);
  BOOST_TEST(warnings().empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
