// Drives that do not answer: each costs one thread and its own volume, for as long as it hangs, and nothing else.
#include <thread>

#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using namespace std::chrono_literals;
using test::kind_of;

namespace {

struct Hung : test::NodeFixture {
  // Deadlines are minutes in a daemon; here they pass while one waits.
  void impatient() {
    node.reset();
    node = std::make_unique<test::TestNode>(directory.path(), devices, test::TestNode::Without::make_one, 100ms);
  }
  ~Hung() { devices->answer_all(); }

  std::string failure(const std::string& name) { return node->await(node->volumes.get(name)).failure; }
  // On a machine so slow that a healthy drive overruns the short deadline, that is tried again too.
  bool tried_until_attached(const std::string& name) {
    for (int round = 0; round < 100; ++round) {
      node->await(node->volumes.attach_missing());
      if (condition(name) == Condition::attached) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
  void detach_all() {
    for (const dm::Mapping& mapping : devices->mappings()) devices->remove(mapping.name);
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volumes_hanging, Hung)

BOOST_AUTO_TEST_CASE(a_drive_that_hangs_is_called_once_however_often_it_is_tried_and_the_others_are_served) {
  const std::string ill = drive("vdb"), well = drive("vdc");
  node->create("ill", ill);
  node->create("well", well);
  detach_all();
  impatient();
  devices->hang(ill);
  for (int round = 0; round < 70; ++round) node->await(node->volumes.attach_missing());
  BOOST_TEST(devices->hung() == 1U);
  BOOST_TEST(tried_until_attached("well"));
  BOOST_TEST((condition("ill") == Condition::failed));
  BOOST_TEST(failure("ill").find("while an earlier call hangs") != std::string::npos);
  BOOST_TEST(failure("ill").find("journalctl -k") != std::string::npos);

  devices->answer(ill);
  while (devices->hung() > 0) std::this_thread::sleep_for(1ms);
  BOOST_TEST(tried_until_attached("ill"));
}

BOOST_AUTO_TEST_CASE(verbs_on_a_hanging_drive_end_at_once_with_the_reason_and_its_mapping_can_be_removed) {
  const std::string ill = drive("vdb");
  node->create("ill", ill);
  impatient();
  devices->hang(ill);
  const auto backup = [&] { node->await(node->volumes.header_backup("ill")); };
  BOOST_TEST(kind_of(backup) == "timed_out");
  const auto start = std::chrono::steady_clock::now();
  for (int call = 0; call < 20; ++call) BOOST_TEST(kind_of(backup) == "timed_out");
  BOOST_TEST((std::chrono::steady_clock::now() - start < 20 * 100ms));  // else each would have waited for its deadline
  BOOST_TEST(devices->hung() == 1U);
  BOOST_TEST((node->await(node->volumes.detach("ill")).changed == dm::Changed::yes));
}

BOOST_AUTO_TEST_CASE(a_shelf_of_drives_that_hang_leaves_the_others_served) {
  node->create("well", drive("vdc"));
  detach_all();
  impatient();
  for (int i = 0; i < 80; ++i) {
    const std::string ill = drive("ill" + std::to_string(i));
    devices->hang(ill);
    node->await(node->volumes.drive_appeared(devices->facts(ill)));
    node->await(node->volumes.drive_appeared(devices->facts(ill)));
  }
  BOOST_TEST(devices->hung() == 80U);
  BOOST_TEST(tried_until_attached("well"));
}

BOOST_AUTO_TEST_CASE(a_drive_that_comes_under_the_name_of_one_that_hung_is_another_drive) {
  const std::string place = drive("vdb");
  node->create("data", place);
  detach_all();
  impatient();
  devices->hang(place);
  node->await(node->volumes.attach_missing());
  BOOST_TEST((condition("data") == Condition::failed));
  const dev_t number = devices->facts(place).number;
  devices->unplug(place);
  node->await(node->volumes.device_removed(place, number));
  devices->plug(place);
  node->await(node->volumes.attach_missing());
  BOOST_TEST((condition("data") == Condition::attached));
  BOOST_TEST(devices->hung() == 1U);  // the call on the old one has not come back to this day
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
