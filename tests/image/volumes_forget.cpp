// Forget: volumes whose drives are gone for good, what keeps them from being forgotten, and drives that return after
// it.
#include <boost/asio/co_spawn.hpp>
#include <filesystem>
#include <fstream>

#include <thread>

#include "agent/cluster/rotation_driver.hpp"
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using namespace std::chrono_literals;
using test::kind_of;

namespace {

struct Gone : test::NodeFixture {
  std::string device = drive("vdb");
  Uuid volume;

  Gone() {
    volume = node->create("data1", device).record.volume;
    node->create("data2", drive("vdc"));
  }
  void pull() {
    node->await(node->volumes.detach("data1"));
    devices->unplug(device);
  }
  std::string forget() {
    return kind_of([&] { node->await(node->volumes.forget("data1")); });
  }
  std::string attach_device() {
    return kind_of([&] { node->await(node->volumes.attach_device(device)); });
  }
  std::string attach_from() {
    return kind_of([&] { node->await(node->volumes.attach_from("data1", device)); });
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volumes_forget, Gone)

BOOST_AUTO_TEST_CASE(a_volume_that_is_attached_or_whose_drive_is_here_is_not_forgotten) {
  BOOST_TEST(forget() == "wrong_state");
  node->await(node->volumes.detach("data1"));
  BOOST_TEST(forget() == "wrong_state");
  node->await(node->volumes.attach("data1"));
  devices->hold("data1");
  devices->unplug(device);  // gone, but its mapping lives on
  BOOST_TEST(forget() == "wrong_state");
  BOOST_TEST(node->await(node->volumes.list()).size() == 2U);
  BOOST_TEST(node->await(node->store.get("header/" + volume.str())).has_value());
}

BOOST_AUTO_TEST_CASE(a_drive_with_a_damaged_header_in_its_last_place_may_be_the_volumes_and_is_not_forgotten) {
  node->await(node->volumes.detach("data1"));
  std::fstream file(device, std::ios::in | std::ios::out | std::ios::binary);
  for (const int at : {64, 16384 + 64}) file.seekp(at).write("damage", 6);
  file.close();
  BOOST_TEST(kind_of([&] { devices->look(device); }) == "header_damaged");
  BOOST_TEST(forget() == "wrong_state");
  BOOST_TEST((node->await(node->volumes.header_restore("data1", device, std::nullopt)).changed == dm::Changed::yes));
}

BOOST_AUTO_TEST_CASE(a_forgotten_volume_leaves_catalogue_and_backups_and_its_name_is_free) {
  pull();
  BOOST_TEST(forget() == "none");
  BOOST_TEST(node->await(node->volumes.list()).size() == 1U);
  BOOST_TEST(!node->await(node->store.get("header/" + volume.str())));
  BOOST_TEST((node->await(node->volumes.forget("data1")) == dm::Changed::no));
  BOOST_TEST(kind_of([&] { node->await(node->volumes.forget("data9")); }) == "no_such_volume");
  BOOST_TEST((node->create("data1", drive("vdd")).condition == Condition::attached));
}

BOOST_AUTO_TEST_CASE(a_rotation_that_waits_for_it_alone_ends_when_it_is_forgotten) {
  pull();
  const auto driver = std::make_shared<cluster::RotationDriver>(
      node->store, node->pin, std::make_shared<cluster::Members>(node->store, node->pin, node->member),
      cluster::DriverOptions{2ms, 20ms, 60s});
  const auto at_rest = [&](std::size_t previous) {
    for (int i = 0; i < 1000; ++i) {
      const auto now = node->await(driver->load());
      if (now.current == 2 && now.rotation == cluster::RotationPhase::NoRotation && now.previous.size() == previous &&
          now.retiring.empty())
        return true;
      std::this_thread::sleep_for(2ms);
    }
    return false;
  };
  node->volumes.when_caught_up(
      [&] { asio::co_spawn(node->loop, driver->reconsider(), [](const std::exception_ptr&) {}); });
  node->await(driver->apply(cluster::event::Rotate{}));
  BOOST_TEST(at_rest(1));
  BOOST_TEST(forget() == "none");
  BOOST_TEST(at_rest(0));
  devices->plug(device);
  BOOST_TEST(attach_device() == "wrong_state");
  BOOST_TEST(attach_from() == "wrong_generation");  // only an older recovery bundle opens it now
  BOOST_TEST((condition("data2") == Condition::attached));
  driver->stop();
}

BOOST_AUTO_TEST_CASE(a_forgotten_drive_that_returns_is_attached_by_order_alone_and_is_whole_then) {
  pull();
  BOOST_TEST(forget() == "none");
  node->make_current(2);
  devices->plug(device);
  BOOST_TEST(attach_device() == "wrong_state");
  node->await(node->volumes.attach_missing());
  BOOST_TEST(devices->mapped() == 1U);
  BOOST_TEST(node->await(node->volumes.census()).contains(1));  // while it is here its generation stays
  BOOST_TEST(attach_from() == "none");
  const VolumeView view = node->await(node->volumes.get("data1"));
  BOOST_TEST((view.record.volume == volume));
  BOOST_TEST(view.record.generation == 2U);
  BOOST_TEST(header_generation(device) == 2U);
  BOOST_TEST(node->await(node->store.get("header/" + volume.str())).has_value());
  reboot();
  node->await(node->volumes.start());
  BOOST_TEST((condition("data1") == Condition::attached));
}

BOOST_AUTO_TEST_CASE(what_was_forgotten_stays_so_when_the_store_is_away_at_the_next_boot) {
  pull();
  BOOST_TEST(forget() == "none");
  reboot();
  node->break_store();
  devices->plug(device);
  BOOST_TEST(attach_device() == "wrong_state");
}

BOOST_AUTO_TEST_CASE(a_half_made_volume_whose_drive_went_away_can_be_forgotten) {
  const std::string other = drive("vdd");
  devices->after = [](std::string_view call) {
    if (call == "create") throw Error(errc::timed_out, {"format", "the drive", ""});
  };
  BOOST_TEST(kind_of([&] { node->create("data3", other); }) == "timed_out");
  devices->after = nullptr;
  devices->unplug(other);
  const std::string third = drive("vde");
  BOOST_TEST(kind_of([&] { node->create("data3", third); }) == "name_taken");
  BOOST_TEST(kind_of([&] { node->await(node->volumes.forget("data3")); }) == "none");
  BOOST_TEST(node->await(node->store.list("intent/")).empty());
  BOOST_TEST(kind_of([&] { node->create("data3", third); }) == "none");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
