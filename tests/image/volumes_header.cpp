// Header restore refuses, before it writes, every backup that would not open afterwards.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using test::kind_of;

namespace {

std::string content(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct OneVolume : test::NodeFixture {
  std::string device = drive("vdb");
  OneVolume() {
    node->create("data1", device);
    node->await(node->volumes.detach("data1"));
  }
  Bytes backup(const std::string& name = "data1") { return node->await(node->volumes.header_backup(name)); }
  std::string restore(const Bytes& from) {
    return kind_of([&] { node->await(node->volumes.header_restore("data1", device, from)); });
  }
  void damage() {
    std::fstream file(device, std::ios::in | std::ios::out | std::ios::binary);
    for (const int at : {64, 16384 + 64}) file.seekp(at).write("damage", 6);
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volumes_header, OneVolume)

BOOST_AUTO_TEST_CASE(a_backup_under_a_retired_generation_is_refused_and_nothing_is_written) {
  const Bytes old = backup();
  node->make_current(2);
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).done == 1U);
  node->forget(1);
  for (const bool damaged : {false, true}) {
    if (damaged) damage();
    const std::string before = content(device);
    BOOST_TEST(restore(old) == "wrong_generation");
    BOOST_TEST((content(device) == before));
    BOOST_TEST(node->await(node->volumes.get("data1")).record.generation == 2U);
  }
  BOOST_TEST((node->await(node->volumes.header_restore("data1", device, std::nullopt)).changed == dm::Changed::yes));
  BOOST_TEST((node->await(node->volumes.attach("data1")).volume.condition == Condition::attached));
}

BOOST_AUTO_TEST_CASE(a_generation_that_is_being_retired_is_refused_although_this_node_still_holds_it) {
  const Bytes old = backup();
  node->make_current(2);
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).done == 1U);
  cluster::EncryptionState state = node->state();
  state.previous.clear();
  state.retiring = {1};
  cluster::Transaction transaction;
  transaction.then = {cluster::Put{"encryption", cluster::to_json(state)}};
  BOOST_REQUIRE(node->await(node->store.commit(transaction)));
  const std::string before = content(device);
  BOOST_TEST(restore(old) == "wrong_generation");
  BOOST_TEST((content(device) == before));
}

BOOST_AUTO_TEST_CASE(a_backup_under_a_previous_generation_is_put_back_and_rewrapped_at_once) {
  const Bytes old = backup();
  node->make_current(2);
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).done == 1U);
  damage();
  BOOST_TEST(restore(old) == "none");
  BOOST_TEST(header_generation(device) == 2U);
  BOOST_TEST(node->await(node->volumes.get("data1")).record.generation == 2U);
  BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{2}));
  BOOST_TEST((node->await(node->volumes.attach("data1")).volume.condition == Condition::attached));
}

BOOST_AUTO_TEST_CASE(an_older_header_that_is_about_to_be_written_counts_in_the_census) {
  const Bytes old = backup();
  node->make_current(2);
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).done == 1U);
  damage();
  std::set<Generation> counted;
  devices->before = [&](std::string_view call) {
    if (call != "restore_header") return;
    for (const cluster::Entry& entry : test::await(node->store.list("volume/")))
      counted.insert(cluster::parse_volume_record(entry.value).generation);
  };
  BOOST_TEST(restore(old) == "none");
  devices->before = nullptr;
  BOOST_TEST((counted == std::set<Generation>{1}));
}

BOOST_AUTO_TEST_CASE(a_backup_of_another_volume_or_cluster_is_refused_and_nothing_is_written) {
  node->create("data2", drive("vdc"));
  test::NodeFixture other;
  other.node->create("data1", other.drive("vdb"));
  const Bytes of_data2 = backup("data2"), of_others = other.node->await(other.node->volumes.header_backup("data1"));
  Bytes cut = backup();
  cut.resize(1000);
  damage();
  const std::string before = content(device);
  BOOST_TEST(restore(of_data2) == "invalid_argument");
  BOOST_TEST(restore(of_others) == "wrong_cluster");
  BOOST_TEST(restore(cut) != "none");
  BOOST_TEST((content(device) == before));
}

BOOST_AUTO_TEST_CASE(a_backup_that_is_too_long_is_refused_and_nothing_is_written) {
  Bytes longer = backup();
  longer.resize(longer.size() + 512);
  node->make_current(2);
  node->await(node->volumes.rewrap_all(2));
  damage();
  const std::string before = content(device);
  BOOST_TEST(restore(longer) == "invalid_argument");
  BOOST_TEST((content(device) == before));
  BOOST_TEST(node->await(node->volumes.get("data1")).record.generation == 2U);  // not set back either
}

BOOST_AUTO_TEST_CASE(a_drive_that_is_smaller_than_the_volume_s_was_is_refused_and_a_larger_one_is_not) {
  const Bytes good = backup();
  damage();
  const std::uint64_t size = std::filesystem::file_size(device);
  std::filesystem::resize_file(device, size - 4096);
  const std::string before = content(device);
  BOOST_TEST(restore(good) == "invalid_argument");  // it would end too early
  BOOST_TEST((content(device) == before));
  std::filesystem::resize_file(device, size + 4096);
  BOOST_TEST(restore(good) == "none");
}

BOOST_AUTO_TEST_CASE(the_record_learns_that_a_drive_grew_and_not_that_it_shrank) {
  const auto recorded = [&] { return node->await(node->volumes.get("data1")).record.bytes; };
  const std::uint64_t size = std::filesystem::file_size(device);
  BOOST_TEST(recorded() == size);
  std::filesystem::resize_file(device, size + 8192);
  node->make_current(2);  // and what the attach rewraps does not bring the old size back
  node->await(node->volumes.attach("data1"));
  BOOST_TEST(node->await(node->volumes.get("data1")).record.generation == 2U);
  BOOST_TEST(recorded() == size + 8192);
  node->await(node->volumes.detach("data1"));
  std::filesystem::resize_file(device, size);
  node->await(node->volumes.attach("data1"));
  BOOST_TEST(recorded() == size + 8192);
}

BOOST_AUTO_TEST_CASE(with_the_store_gone_a_header_is_still_restored_from_a_file) {
  const Bytes good = backup();
  node->await(node->volumes.list());
  damage();
  node->break_store();
  BOOST_TEST(restore(good) == "none");
  BOOST_TEST(header_generation(device) == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
