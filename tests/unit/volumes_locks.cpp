// Locks: one at a time and in order, per name. And what a node has said of volumes to others.
#include <boost/test/unit_test.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "agent/volumes/handover.hpp"
#include "agent/volumes/locks.hpp"

namespace volcrypt::volumes {

namespace {

asio::awaitable<void> hold_for_two_turns(Locks& locks, std::string name, std::string label, std::string& story) {
  const Locks::Held held = co_await locks.lock(name);
  story += label + "+";
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
  co_await asio::post(executor, asio::use_awaitable);
  story += label + "-";
}

asio::awaitable<void> fail_while_holding(Locks& locks) {
  const Locks::Held held = co_await locks.lock("data1");
  throw std::runtime_error("broken");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(volumes_locks)

BOOST_AUTO_TEST_CASE(operations_on_one_volume_follow_each_other_in_the_order_they_came) {
  asio::io_context loop;
  Locks locks;
  std::string story;
  for (const std::string label : {"a", "b", "c"})
    asio::co_spawn(loop, hold_for_two_turns(locks, "data1", label, story), asio::detached);
  loop.run();
  BOOST_TEST(story == "a+a-b+b-c+c-");
}

BOOST_AUTO_TEST_CASE(operations_on_two_volumes_run_beside_each_other) {
  asio::io_context loop;
  Locks locks;
  std::string story;
  asio::co_spawn(loop, hold_for_two_turns(locks, "data1", "a", story), asio::detached);
  asio::co_spawn(loop, hold_for_two_turns(locks, "data2", "b", story), asio::detached);
  loop.run();
  BOOST_TEST(story == "a+b+a-b-");
}

BOOST_AUTO_TEST_CASE(an_operation_that_throws_gives_its_turn_away) {
  asio::io_context loop;
  Locks locks;
  std::string story;
  bool thrown = false;
  asio::co_spawn(loop, fail_while_holding(locks),
                 [&](const std::exception_ptr& failure) { thrown = failure != nullptr; });
  asio::co_spawn(loop, hold_for_two_turns(locks, "data1", "a", story), asio::detached);
  loop.run();
  BOOST_TEST(thrown);
  BOOST_TEST(story == "a+a-");
}

BOOST_AUTO_TEST_CASE(a_loop_that_ends_with_waiters_ends_quietly) {
  std::string story;
  auto locks = std::make_unique<Locks>();
  {
    asio::io_context loop;
    asio::co_spawn(loop, hold_for_two_turns(*locks, "data1", "a", story), asio::detached);
    asio::co_spawn(loop, hold_for_two_turns(*locks, "data1", "b", story), asio::detached);
    loop.run_one();
    loop.run_one();
    locks.reset();  // the service goes before the loop, as in the agent
  }
  BOOST_TEST(story.find("a-") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_volume_is_being_attached_until_the_last_who_attaches_it_has_ended) {
  Handover handover;
  const Uuid volume = Uuid::random();
  {
    Handover::Attaching mark = handover.attaching(volume);
    const Handover::Attaching moved = std::move(mark);
    { const Handover::Attaching another = handover.attaching(volume); }
    BOOST_TEST(handover.is_attaching(volume));
    BOOST_TEST(!handover.is_attaching(Uuid::random()));
  }
  BOOST_TEST(!handover.is_attaching(volume));
}

BOOST_AUTO_TEST_CASE(what_was_said_to_be_gone_is_promised_for_a_while_and_no_more_once_it_is_taken_over) {
  Handover handover;
  const Uuid volume = Uuid::random();
  BOOST_TEST(!handover.is_promised(volume));
  handover.said_gone(volume, std::chrono::hours(1));
  BOOST_TEST(handover.is_promised(volume));
  handover.promise_ends(volume);
  BOOST_TEST(!handover.is_promised(volume));
  handover.said_gone(volume, std::chrono::milliseconds(0));
  BOOST_TEST(!handover.is_promised(volume));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
