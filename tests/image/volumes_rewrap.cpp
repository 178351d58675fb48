// Rewrap over real headers: attached, detached, absent and ill volumes; census and retirement; returning drives.
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <filesystem>
#include <functional>
#include <future>

#include "dmtarget/luks.hpp"
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using test::kind_of;
using test::NodeFixture;
using namespace std::chrono_literals;

namespace {

// A drive of generation 1 that no record knows, unplugged, beside a volume that is up to date in generation 2. Opening
// it stops before the mapping is made, until the retirement of generation 1 has ended.
struct StrayDrive : NodeFixture {
  StrayDrive() {
    node->create("data1", stray);
    node->create("data2", drive("vdc"));
    node->await(node->volumes.detach("data1"));
    cluster::Transaction forget;
    forget.then = {cluster::Delete{"volume/data1"}};
    BOOST_REQUIRE(node->await(node->store.commit(std::move(forget))).has_value());
    devices->unplug(stray);
    node->make_current(2);
    BOOST_REQUIRE(node->await(node->volumes.rewrap_all(2)).done == 1U);
    devices->before = [this](std::string_view call) {
      if (call != "attach") return;
      opening.set_value();
      retired.get_future().wait_for(20s);
    };
  }
  ~StrayDrive() { devices->before = devices->after = nullptr; }

  void open_stray() {
    asio::co_spawn(node->loop, node->volumes.attach_device(stray), [this](const std::exception_ptr& failure, auto&&) {
      outcome = kind_of([&] {
        if (failure) std::rethrow_exception(failure);
      });
    });
  }
  void run_until(const std::function<bool()>& reached) {
    for (int look = 0; look < 1000 && !reached(); ++look) {
      node->loop.restart();
      node->loop.run_for(10ms);
    }
    BOOST_TEST(reached());
  }
  std::string end_of_opening() {
    retired.set_value();
    run_until([this] { return !outcome.empty(); });
    return outcome;
  }

  std::string stray = drive("vdb"), outcome;
  std::promise<void> opening, retired;
};

// A volume whose rewrap to generation 2 is written and then fails its check.
struct IllCheck : NodeFixture {
  IllCheck() {
    node->create("data1", device);
    old = devices->look(device).token;
    node->make_current(2);
  }

  void rewrap_failing_at(std::string_view call) {
    std::atomic<int> failures = 0;
    devices->before = [&, this](std::string_view now) {
      if (now == "take_back" && put_back_fails) throw Error(errc::device_unreadable, {"put back", device, ""});
      if (now != call || failures != 0 || dm::LuksHeader::open(device).token().generation != 2) return;
      ++failures;
      throw Error(errc::wrong_key, {"check", "the wrap in this test", ""});
    };
    const auto progress = node->await(node->volumes.rewrap_all(2));
    devices->before = nullptr;
    BOOST_TEST(failures == 1);
    BOOST_TEST(progress.done == 0U);
    BOOST_REQUIRE(progress.failures.size() == 1U);
    BOOST_TEST(progress.failures.front().find("cannot check the wrap in this test") != std::string::npos);
  }

  std::string device = drive("vdb");
  dm::Token old;
  bool put_back_fails = false;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(volumes_rewrap, NodeFixture)

BOOST_AUTO_TEST_CASE(attached_and_detached_volumes_are_rewrapped_and_open_cold) {
  const std::string one = drive("vdb"), two = drive("vdc");
  node->create("data1", one);
  node->create("data2", two);
  node->await(node->volumes.detach("data2"));
  devices->hold("data1");
  node->make_current(2);
  const cluster::RewrapProgress progress = node->await(node->volumes.rewrap_all(2));
  BOOST_TEST(progress.total == 2U);
  BOOST_TEST(progress.done == 2U);
  BOOST_TEST(progress.absent == 0U);
  BOOST_TEST(progress.failures.empty());
  BOOST_TEST(header_generation(one) == 2U);
  BOOST_TEST(header_generation(two) == 2U);
  BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{2}));
  node->forget(1);
  devices->let_go("data1");
  reboot();
  node->await(node->volumes.start());
  BOOST_TEST(devices->mapped() == 2U);
}

BOOST_AUTO_TEST_CASE(rewrap_again_changes_nothing) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  node->make_current(2);
  node->await(node->volumes.rewrap_all(2));
  const auto token = devices->look(device).token;
  const auto progress = node->await(node->volumes.rewrap_all(2));
  BOOST_TEST(progress.done == 1U);
  BOOST_TEST((devices->look(device).token == token));
}

BOOST_AUTO_TEST_CASE(a_rewrap_costs_three_key_batches_however_many_volumes_share_the_group) {
  for (int i = 0; i < 8; ++i) node->create("data" + std::to_string(i), drive("vd" + std::to_string(i)));
  node->make_current(2);
  const auto before = node->volumes.work().key_batches;
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).done == 8U);
  BOOST_TEST(node->volumes.work().key_batches - before ==
             3U);  // old key, new key, and the new key again for the cold check
}

BOOST_AUTO_TEST_CASE(an_absent_volume_keeps_its_generation_needed_and_is_rewrapped_when_it_returns) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  node->create("data2", drive("vdc"));
  node->await(node->volumes.detach("data1"));
  devices->unplug(device);
  node->make_current(2);
  const auto progress = node->await(node->volumes.rewrap_all(2));
  BOOST_TEST(progress.absent == 1U);
  BOOST_TEST(progress.done == 1U);
  BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{1, 2}));
  BOOST_TEST(kind_of([&] { node->await(node->member.retire_kek(1)); }) == "wrong_state");

  bool told = false;
  node->volumes.when_caught_up([&] { told = true; });
  devices->plug(device);
  BOOST_TEST((node->await(node->volumes.attach_device(device)).changed == dm::Changed::yes));
  BOOST_TEST(told);
  BOOST_TEST(header_generation(device) == 2U);
  BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{2}));
  node->forget(1);
}

BOOST_AUTO_TEST_CASE(a_header_replayed_after_retirement_is_refused_and_the_backup_brings_the_volume_back) {
  const std::string device = drive("vdb"), old = directory.path("old");
  node->create("data1", device);
  node->await(node->volumes.detach("data1"));
  std::filesystem::copy_file(device, old);
  node->make_current(2);
  node->await(node->volumes.rewrap_all(2));
  node->forget(1);
  std::filesystem::copy_file(old, device, std::filesystem::copy_options::overwrite_existing);
  BOOST_TEST(kind_of([&] { node->await(node->volumes.attach("data1")); }) == "wrong_generation");
  BOOST_TEST((node->await(node->volumes.header_restore("data1", device, std::nullopt)).changed == dm::Changed::yes));
  BOOST_TEST((node->await(node->volumes.attach("data1")).changed == dm::Changed::yes));
}

BOOST_AUTO_TEST_CASE(a_drive_that_fails_keeps_its_old_wrap_and_does_not_stop_the_others) {
  const std::string bad = drive("vdb"), good = drive("vdc");
  node->create("data1", bad);
  node->create("data2", good);
  node->make_current(2);
  devices->break_down(bad);
  const auto progress = node->await(node->volumes.rewrap_all(2));
  BOOST_TEST(progress.done == 1U);
  BOOST_TEST(progress.failures.size() + progress.absent == 1U);
  BOOST_TEST(header_generation(good) == 2U);
  BOOST_TEST(node->await(node->volumes.census()).contains(1));
  devices->repair(bad);
  BOOST_TEST(header_generation(bad) == 1U);
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).done == 2U);
}

BOOST_FIXTURE_TEST_CASE(a_rewrap_that_fails_its_check_puts_the_old_wrap_back_and_tells_the_cause, IllCheck) {
  for (const std::string_view failing : {"look", "verify_key"}) {
    BOOST_TEST_CONTEXT(failing) {
      rewrap_failing_at(failing);
      BOOST_TEST((devices->look(device).token == old));
      BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{1}));
    }
  }
  reboot();
  node->await(node->volumes.start());
  BOOST_TEST((condition("data1") == Condition::attached));
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).done == 1U);
  BOOST_TEST(header_generation(device) == 2U);
  node->forget(1);
}

BOOST_FIXTURE_TEST_CASE(a_put_back_that_fails_does_not_hide_why_it_was_tried, IllCheck) {
  put_back_fails = true;
  rewrap_failing_at("verify_key");
  BOOST_TEST(header_generation(device) == 2U);
  BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{1, 2}));
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).done == 1U);
  BOOST_TEST((node->await(node->volumes.census()) == std::set<Generation>{2}));
}

BOOST_AUTO_TEST_CASE(of_two_copies_the_attached_one_is_rewrapped_and_the_other_left_as_it_is) {
  const std::string device = drive("vdb"), copy = directory.path("vdc");
  node->create("data1", device);
  std::filesystem::copy_file(device, copy);
  devices->plug(copy);
  node->make_current(2);
  BOOST_TEST(node->await(node->volumes.rewrap_all(2)).done == 1U);
  BOOST_TEST(header_generation(device) == 2U);
  BOOST_TEST(header_generation(copy) == 1U);
}

BOOST_AUTO_TEST_CASE(of_two_detached_copies_neither_is_rewrapped_and_the_volume_is_named) {
  const std::string device = drive("vdb"), copy = directory.path("vdc");
  node->create("data1", device);
  node->await(node->volumes.detach("data1"));
  std::filesystem::copy_file(device, copy);
  devices->plug(copy);
  node->make_current(2);
  const auto progress = node->await(node->volumes.rewrap_all(2));
  BOOST_TEST(progress.done == 0U);
  BOOST_REQUIRE(progress.failures.size() == 1U);
  BOOST_TEST(progress.failures.front().find("data1") != std::string::npos);
  BOOST_TEST(header_generation(device) == 1U);
  BOOST_TEST(node->await(node->volumes.census()).contains(1));
}

BOOST_FIXTURE_TEST_CASE(a_drive_that_comes_after_the_last_census_is_not_opened_under_the_dying_generation, StrayDrive) {
  std::atomic<int> looks = 0;
  devices->after = [&](std::string_view call) {
    if (call != "look" || looks++ != 0) return;  // the census's own: its scan is behind it
    devices->plug(stray);
    open_stray();
    opening.get_future().wait_for(500ms);
  };
  BOOST_TEST(kind_of([&] { node->forget(1); }) == "none");
  BOOST_TEST(end_of_opening() == "wrong_generation");
  BOOST_TEST(devices->mapped() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_drive_that_is_being_opened_keeps_its_generation_although_no_scan_sees_it, StrayDrive) {
  devices->plug(stray);
  open_stray();
  std::future<void> reached = opening.get_future();
  run_until([&] { return reached.wait_for(0s) == std::future_status::ready; });
  devices->unplug(stray);
  BOOST_TEST(kind_of([&] { node->forget(1); }) == "wrong_state");
  devices->plug(stray);
  BOOST_TEST(end_of_opening() == "none");
  BOOST_TEST(header_generation(stray) == 2U);  // taken in, and caught up by the generation that was kept for it
  BOOST_TEST(kind_of([&] { node->await(node->member.retire_kek(1)); }) == "none");
}

BOOST_AUTO_TEST_CASE(with_the_store_gone_volumes_still_attach_from_the_local_copy) {
  const std::string device = drive("vdb");
  node->create("data1", device);
  node->await(node->volumes.list());
  reboot();
  node->break_store();
  BOOST_TEST((node->await(node->volumes.attach_device(device)).changed == dm::Changed::yes));
  BOOST_TEST((condition("data1") == Condition::attached));
  BOOST_TEST(kind_of([&] { node->await(node->volumes.census()); }) == "wrong_state");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
