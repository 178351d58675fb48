// A whole rotation, with the real coordinator, at every step of a create; and creates that fail at every step, followed
// by a rotation. No volume may be left under a generation that is gone, and nothing may keep a generation for ever.
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>

#include "agent/cluster/rotation_driver.hpp"
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using namespace std::chrono_literals;
using test::kind_of;

namespace {

asio::awaitable<void> doze(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

struct Coordinated : test::NodeFixture {
  std::string device = drive("vdb");
  std::shared_ptr<cluster::RotationDriver> driver = std::make_shared<cluster::RotationDriver>(
      node->store, node->pin, std::make_shared<cluster::Members>(node->store, node->pin, node->member),
      cluster::DriverOptions{2ms, 20ms, 60s});
  std::atomic<long> steps = 0;
  long chosen = 0;  // the step at which something happens; 0: none
  bool rotated = false;

  ~Coordinated() {
    driver->stop();
    quiet();
  }

  void quiet() {
    node->store.before = node->store.after = nullptr;
    devices->before = devices->after = nullptr;
  }

  asio::awaitable<bool> at_rest() {
    const cluster::EncryptionState now = co_await driver->load();
    co_return now.rotation == cluster::RotationPhase::NoRotation&& now.previous.empty() && now.retiring.empty();
  }

  // As far as it comes beside the create, whose lock it may have to wait for.
  asio::awaitable<void> rotate_beside() {
    (void)co_await driver->apply(cluster::event::Rotate{});
    for (int look = 0; look < 40; ++look) {
      if (co_await at_rest()) co_return;
      co_await doze(5ms);
    }
  }

  asio::awaitable<void> until_at_rest() {
    for (int look = 0; look < 2000; ++look) {
      if (co_await at_rest()) co_return;
      co_await doze(5ms);
    }
    BOOST_ERROR("the rotation does not come to rest: " + driver->waiting_for());
  }

  bool chosen_now() { return ++steps == chosen; }

  asio::awaitable<void> rotate_at_store_step() {
    if (!chosen_now()) co_return;
    rotated = true;
    co_await rotate_beside();
  }

  void rotate_at_device_step() {
    if (!chosen_now()) return;
    rotated = true;
    std::promise<void> ended;
    asio::co_spawn(node->loop, rotate_beside(), [&](const std::exception_ptr&) { ended.set_value(); });
    ended.get_future().wait();
  }

  void rotate_at(long step) {
    chosen = step;
    node->store.before = [this] { return rotate_at_store_step(); };
    devices->before = devices->after = [this](std::string_view) { rotate_at_device_step(); };
  }

  asio::awaitable<void> fail_at_store_step(errc cause) {
    if (chosen_now()) throw Error(cause, {"ask", "the store", ""});
    co_return;
  }

  void fail_at(long step) {
    chosen = step;
    node->store.before = [this] { return fail_at_store_step(errc::timed_out); };
    node->store.after = [this] { return fail_at_store_step(errc::unknown_outcome); };
    devices->before = devices->after = [this](std::string_view) {
      if (chosen_now()) throw Error(errc::timed_out, {"reach", "the drive", ""});
    };
  }

  std::size_t intents() { return node->await(node->store.list("intent/")).size(); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(volumes_create_and_rotate)

BOOST_AUTO_TEST_CASE(a_rotation_at_any_step_of_a_create_leaves_a_volume_under_the_new_generation) {
  long step = 0;
  for (bool more = true; more;) {
    Coordinated at;
    at.rotate_at(++step);
    BOOST_TEST_CONTEXT("step " << step) {
      BOOST_TEST(kind_of([&] { at.node->create("data1", at.device); }) == "none");
      more = at.rotated;
      at.quiet();
      if (!at.rotated) at.node->await(at.driver->apply(cluster::event::Rotate{}));
      at.node->await(at.until_at_rest());
      const cluster::EncryptionState state = at.node->await(at.driver->load());
      BOOST_TEST(state.current == 2U);
      BOOST_TEST(at.header_generation(at.device) == 2U);
      BOOST_TEST(at.node->await(at.node->volumes.get("data1")).record.generation == 2U);
      at.driver->stop();
      at.reboot();
      at.node->await(at.node->volumes.start());
      BOOST_TEST((at.condition("data1") == Condition::attached));
    }
  }
  BOOST_TEST(step > 20);
}

BOOST_AUTO_TEST_CASE(a_create_that_failed_at_any_step_holds_no_rotation_up_and_can_be_said_again) {
  long step = 0;
  for (bool more = true; more;) {
    Coordinated at;
    at.fail_at(++step);
    BOOST_TEST_CONTEXT("step " << step) {
      const std::string outcome = kind_of([&] { at.node->create("data1", at.device); });
      more = at.steps >= step;
      BOOST_TEST_MESSAGE("step " << step << ": " << outcome);
      at.quiet();
      at.node->await(at.driver->apply(cluster::event::Rotate{}));
      at.node->await(at.until_at_rest());
      BOOST_TEST(at.intents() == 0U);
      const auto all = at.node->await(at.node->volumes.list());
      // A header without an entry, or an entry without a header, would be the lost volume.
      BOOST_TEST((kind_of([&] { at.devices->look(at.device); }) == "none") == (all.size() == 1));
      if (all.empty()) at.node->create("data1", at.device);
      BOOST_TEST(at.header_generation(at.device) == 2U);
      at.driver->stop();
      at.reboot();
      at.node->await(at.node->volumes.start());
      BOOST_TEST((at.condition("data1") == Condition::attached));
    }
  }
  BOOST_TEST(step > 20);
}

BOOST_AUTO_TEST_CASE(a_create_that_was_cut_off_behind_the_header_is_completed_when_it_is_said_again) {
  Coordinated at;
  at.devices->after = [](std::string_view call) {
    if (call == "create") throw Error(errc::timed_out, {"format", "the drive", ""});
  };
  BOOST_TEST(kind_of([&] { at.node->create("data1", at.device); }) == "timed_out");
  at.quiet();
  BOOST_TEST(at.intents() == 1U);
  const Uuid made = at.devices->look(at.device).token.volume;
  const std::string other = at.drive("vdc");
  BOOST_TEST((at.node->create("data1", at.device).condition == Condition::attached));
  BOOST_TEST((at.devices->look(at.device).token.volume == made));
  BOOST_TEST(at.intents() == 0U);
  BOOST_TEST(kind_of([&] { at.node->create("data1", other); }) == "name_taken");
}

BOOST_AUTO_TEST_CASE(a_create_whose_drive_went_away_half_made_keeps_its_generation_until_the_drive_is_seen) {
  Coordinated at;
  at.devices->after = [](std::string_view call) {
    if (call == "create") throw Error(errc::timed_out, {"format", "the drive", ""});
  };
  BOOST_TEST(kind_of([&] { at.node->create("data1", at.device); }) == "timed_out");
  at.quiet();
  at.devices->unplug(at.device);
  at.node->make_current(2);
  const cluster::RewrapProgress progress = at.node->await(at.node->volumes.rewrap_all(2));
  BOOST_TEST(progress.absent == 1U);
  BOOST_TEST(progress.failures.empty());
  BOOST_TEST(at.node->await(at.node->volumes.census()).contains(1));
  at.devices->plug(at.device);
  BOOST_TEST(at.node->await(at.node->volumes.rewrap_all(2)).done == 1U);
  BOOST_TEST((at.node->await(at.node->volumes.census()) == std::set<Generation>{2}));
  BOOST_TEST(at.header_generation(at.device) == 2U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
