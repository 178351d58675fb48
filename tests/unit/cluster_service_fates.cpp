// The agent crashes, and the world fails, at every await of a whole story: nothing is ever lost, and the next start
// brings it to rest.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "dmtarget/error.hpp"
#include "tests/support/cluster_lives.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using namespace std::chrono_literals;
using test::Drive;

namespace {

// Counts the awaits of one life and strikes at one of them.
struct Fate {
  enum class Kind { crash, error };
  Kind kind;
  std::size_t strikes_at;
  asio::io_context& loop;
  std::size_t passed = 0;
  bool crashed = false;

  static asio::awaitable<void> pass(Fate& fate, errc cause) {
    if (++fate.passed != fate.strikes_at) co_return;
    if (fate.kind == Kind::error) throw Error(cause, {"do", "what the test forbids", ""});
    fate.crashed = true;
    fate.loop.stop();
    co_await doze(1h);  // this life ends here
  }
};

asio::awaitable<void> until(const bool& flag, Machine& machine) {
  while (!flag && !machine.at_rest()) co_await doze(1ms);
}

// Each verb as an operator would use it: again, until it has worked.
template <class Verb>
asio::awaitable<void> insist(Verb verb) {
  for (int i = 0; i < 5; ++i) {
    try {
      co_await verb();
      co_return;
    } catch (const Error&) {
      if (i == 4) throw;
    }
    co_await doze(1ms);
  }
}

asio::awaitable<void> rotate_once(ClusterService& service, Machine& machine, Generation wanted, const bool& never) {
  for (int i = 0; i < 5 && machine.state().current < wanted; ++i) {
    if (machine.state().rotation == RotationPhase::NoRotation) co_await service.rotate();
    co_await until(never, machine);
  }
}

asio::awaitable<void> story(Agent& agent, Machine& machine, bool& ended) {
  const bool never = false;
  auto& service = agent.service;
  co_await insist([&] { return service.start(); });
  co_await insist([&] { return service.init(machine.signed_membership()); });
  co_await insist([&] { return service.set_feature_flag(); });
  co_await insist([&] { return service.enable(software); });
  if (machine.node.volumes.empty()) {
    for (const char* name : {"a", "b"}) machine.node.volumes[name] = {machine.state().current, Drive::present};
    machine.node.volumes["away"] = {machine.state().current, Drive::absent};
  }
  const auto wanted = machine.state().current + 1;
  co_await insist([&] { return rotate_once(service, machine, wanted, never); });
  machine.node.volumes["away"] = {machine.state().current, Drive::present};
  co_await insist([&] { return service.reconsider_retirement(); });
  for (int i = 0; i < 200 && machine.node.held.size() > 1; ++i) co_await doze(1ms);
  co_await until(never, machine);
  ended = true;
}

// True when the story ended before fate struck: then all its awaits have been tried.
bool live(Fate::Kind kind, std::size_t strikes_at) {
  Machine machine;
  bool ended = false, crashed = false;
  std::exception_ptr failure;
  {
    Agent agent(machine);
    Fate fate{kind, strikes_at, *agent.loop};
    agent.member.around = [&fate](std::string) { return Fate::pass(fate, errc::timed_out); };
    machine.store.before = [&fate] { return Fate::pass(fate, errc::timed_out); };
    machine.store.after = [&fate] { return Fate::pass(fate, errc::unknown_outcome); };
    asio::co_spawn(*agent.loop, story(agent, machine, ended), [&](std::exception_ptr error) {
      failure = error;
      agent.loop->stop();
    });
    agent.loop->run_for(20s);
    crashed = fate.crashed;
    if (fate.passed < strikes_at) {
      BOOST_TEST(ended);
      machine.check();
      return true;
    }
  }
  machine.check();
  if (kind == Fate::Kind::error) {
    BOOST_TEST(!failure);
    BOOST_TEST(ended);
  } else {
    BOOST_TEST(crashed);
  }
  Agent next(machine);  // the next life: rest first, then the same story to its end
  next.wait(next.service.start());
  next.run_until_rest();
  machine.check();
  ended = false;
  next.wait(story(next, machine, ended));
  BOOST_TEST(ended);
  next.run_until_rest();
  machine.check();
  BOOST_TEST((machine.node.held == std::set<Generation>{machine.state().current}));
  return false;
}

std::size_t live_all(Fate::Kind kind) {
  std::size_t point = 1;
  for (bool last = false; !last && point < 2000; ++point) {
    BOOST_TEST_CONTEXT("await " << point) { last = live(kind, point); }
  }
  return point;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_crash_at_any_await_loses_nothing_and_the_next_start_comes_to_rest) {
  const auto points = live_all(Fate::Kind::crash);
  BOOST_TEST_MESSAGE(points << " points");
  BOOST_TEST(points > 60u);
  BOOST_TEST(points < 2000u);
}

BOOST_AUTO_TEST_CASE(an_error_at_any_await_loses_nothing_and_the_story_goes_on) {
  const auto points = live_all(Fate::Kind::error);
  BOOST_TEST_MESSAGE(points << " points");
  BOOST_TEST(points > 60u);
  BOOST_TEST(points < 2000u);
}
