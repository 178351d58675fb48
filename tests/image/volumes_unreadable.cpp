// An entry of the catalogue that cannot be read hides itself alone, is told by name, and may need every generation.
#include "agent/cluster/keys_of_store.hpp"
#include "tests/support/listening.hpp"
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using test::kind_of;

namespace {

const char* const from_the_future = R"({"version":2,"something":"else"})";

struct TwoVolumes : test::NodeFixture {
  std::string bad = drive("vdb"), good = drive("vdc");
  test::Listening log{directory.path("log")};

  TwoVolumes() {
    node->create("data1", bad);
    node->create("data2", good);
  }
  void put(const std::string& key, std::string value) {
    cluster::Transaction transaction;
    transaction.then = {cluster::Put{key, std::move(value)}};
    BOOST_REQUIRE(node->await(node->store.commit(transaction)));
  }
  void spoil(const std::string& value = "rubbish") { put("volume/data1", value); }
  std::set<std::string> listed() {
    std::set<std::string> names;
    for (const VolumeView& view : node->await(node->volumes.list())) names.insert(view.record.name);
    return names;
  }
  dm::Changed attach(const std::string& name) { return node->await(node->volumes.attach(name)).changed; }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volumes_unreadable, TwoVolumes)

// FAILURES.md G: proxmox-csi-plugin#261, where one missing secret blocked the other volumes.
BOOST_AUTO_TEST_CASE(the_other_volumes_are_used_as_before_and_the_unreadable_one_is_told_by_name) {
  for (const std::string value : {"", "rubbish", from_the_future, "{}"}) {
    spoil(value);
    BOOST_TEST((listed() == std::set<std::string>{"data1", "data2"}));
    const VolumeView view = node->await(node->volumes.get("data1"));
    BOOST_TEST((view.condition == Condition::unknown));
    BOOST_TEST(view.failure_kind == "store_damaged");
    BOOST_TEST(view.failure.find("volcryptctl attach data1 --device") != std::string::npos);
    node->await(node->volumes.detach("data2"));
    BOOST_TEST((attach("data2") == dm::Changed::yes));
    BOOST_TEST(!node->await(node->volumes.header_backup("data2")).empty());
  }
  BOOST_TEST(log.lines("does not answer").empty());
}

BOOST_AUTO_TEST_CASE(the_journal_has_an_unreadable_entry_once_for_each_cause) {
  const auto lines = [&] { return log.lines("entry=volume/data1").size(); };
  spoil();
  for (int look = 0; look < 3; ++look) node->await(node->volumes.list());
  BOOST_TEST(lines() == 1U);
  spoil(from_the_future);
  for (int look = 0; look < 3; ++look) node->await(node->volumes.list());
  BOOST_TEST(lines() == 2U);
}

BOOST_AUTO_TEST_CASE(other_volumes_are_created_erased_and_rewrapped) {
  spoil();
  const std::string third = drive("vdd");
  BOOST_TEST((node->create("data3", third).condition == Condition::attached));
  node->await(node->volumes.erase("data3"));
  node->make_current(2);
  const cluster::RewrapProgress progress = node->await(node->volumes.rewrap_all(2));
  BOOST_TEST(progress.done == 1U);
  BOOST_TEST(header_generation(good) == 2U);
  BOOST_REQUIRE_EQUAL(progress.failures.size(), 1U);
  BOOST_TEST(progress.failures.front().find("data1") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(verbs_on_the_volume_itself_say_what_is_wrong_and_change_nothing) {
  spoil();
  VolumeService& volumes = node->volumes;
  BOOST_TEST(kind_of([&] { node->await(volumes.attach("data1")); }) == "store_damaged");
  BOOST_TEST(kind_of([&] { node->await(volumes.detach("data1")); }) == "store_damaged");
  BOOST_TEST(kind_of([&] { node->await(volumes.erase("data1")); }) == "store_damaged");
  BOOST_TEST(kind_of([&] { node->await(volumes.header_backup("data1")); }) == "store_damaged");
  BOOST_TEST(kind_of([&] { node->create("data1", drive("vdd")); }) == "store_damaged");
  BOOST_TEST(kind_of([&] { node->await(volumes.forget("data1")); }) == "wrong_state");  // attached, and here
  BOOST_TEST(node->await(node->store.get("volume/data1"))->value == "rubbish");
  BOOST_TEST(devices->mapped() == 2U);
}

BOOST_AUTO_TEST_CASE(no_generation_is_retired_while_a_record_or_an_intent_cannot_be_read) {
  node->make_current(2);
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).done == 2U);
  BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{2}));  // or the rest would show nothing
  for (const std::string key : {"volume/lost", "intent/lost"}) {
    put(key, "rubbish");
    BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{1, 2}));
    BOOST_TEST(kind_of([&] { node->await(node->member.retire_kek(1)); }) == "wrong_state");
    cluster::EncryptionState state = node->state();
    state.previous.clear();
    state.retiring = {1};  // decided before the record went bad
    put("encryption", cluster::to_json(state));
    BOOST_TEST(kind_of([&] { node->await(node->member.retire_kek(1)); }) == "wrong_state");
    state.retiring.clear();
    state.previous = {1};
    put("encryption", cluster::to_json(state));
    node->await(node->volumes.forget("lost"));
    BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{2}));
  }
  node->await(node->member.retire_kek(1));
}

BOOST_AUTO_TEST_CASE(a_mark_that_cannot_be_read_is_told_and_holds_no_generation) {
  put("erased/not-a-uuid", "data9");
  BOOST_TEST((listed() == std::set<std::string>{"data1", "data2"}));
  BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{1}));
  BOOST_TEST(log.lines("entry=erased/not-a-uuid").size() == 1U);
}

BOOST_AUTO_TEST_CASE(the_record_of_another_volume_under_that_name_is_no_record) {
  spoil(node->await(node->store.get("volume/data2"))->value);
  BOOST_TEST((node->await(node->volumes.get("data1")).condition == Condition::unknown));
  BOOST_TEST(node->await(node->volumes.get("data2")).device == good);
}

BOOST_AUTO_TEST_CASE(at_boot_the_drive_is_attached_and_its_record_is_written_anew_only_by_order) {
  spoil();
  reboot();
  node->await(node->volumes.start());
  BOOST_TEST(devices->mapped() == 2U);
  BOOST_TEST(node->await(node->store.get("volume/data1"))->value == "rubbish");
  BOOST_TEST((node->await(node->volumes.attach_from("data1", bad)).changed == dm::Changed::no));
  const VolumeView view = node->await(node->volumes.get("data1"));
  BOOST_TEST((view.condition == Condition::attached));
  BOOST_TEST(view.device == bad);
  BOOST_TEST(view.record.generation == 1U);
  node->await(node->volumes.detach("data1"));
  BOOST_TEST((attach("data1") == dm::Changed::yes));
}

BOOST_AUTO_TEST_CASE(a_volume_whose_drive_is_gone_is_forgotten_by_its_name_alone) {
  node->await(node->volumes.detach("data1"));
  spoil();
  BOOST_TEST(kind_of([&] { node->await(node->volumes.forget("data1")); }) == "wrong_state");  // its drive is here
  devices->unplug(bad);
  node->await(node->volumes.forget("data1"));
  BOOST_TEST((listed() == std::set<std::string>{"data2"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
