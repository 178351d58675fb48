// SharedLook: many share one look, and none gets an answer that is older than its question.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/test/unit_test.hpp>
#include <vector>

#include "agent/volumes/shared_look.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::volumes {

namespace {

asio::awaitable<int> look_for_three_turns(int& looks) {
  const int number = ++looks;
  const auto executor = co_await asio::this_coro::executor;
  for (int turn = 0; turn < 3; ++turn) co_await asio::post(executor, asio::use_awaitable);
  co_return number;
}

asio::awaitable<int> fail_at_first(int& looks) {
  const int number = ++looks;
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
  if (number == 1) throw Error(errc::timed_out, {"look at", "the machine", ""});
  co_return number;
}

struct Watched {
  asio::io_context loop;
  int looks = 0;
  std::vector<int> answers;
  int failures = 0;
  SharedLook<int> shared;

  explicit Watched(asio::awaitable<int> (*look)(int&)) : shared("look", [this, look] { return look(looks); }) {}

  void ask() {
    asio::co_spawn(loop, shared.ask(), [this](const std::exception_ptr& failure, int answer) {
      if (failure) ++failures;
      if (!failure) answers.push_back(answer);
    });
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(volumes_shared_look)

BOOST_AUTO_TEST_CASE(a_hundred_who_ask_at_once_share_one_look) {
  Watched watched(look_for_three_turns);
  for (int i = 0; i < 100; ++i) watched.ask();
  watched.loop.run();
  BOOST_TEST(watched.looks == 1);
  BOOST_TEST(watched.answers == std::vector<int>(100, 1), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_question_during_a_look_is_answered_by_the_next_look) {
  Watched watched(look_for_three_turns);
  watched.ask();
  while (watched.looks == 0) watched.loop.run_one();
  watched.ask();
  watched.ask();
  watched.loop.run();
  BOOST_TEST(watched.answers == (std::vector<int>{1, 2, 2}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_failed_look_fails_those_who_shared_it_and_the_next_is_made_anew) {
  Watched watched(fail_at_first);
  watched.ask();
  watched.ask();
  watched.loop.run();
  BOOST_TEST(watched.failures == 2);
  watched.loop.restart();
  watched.ask();
  watched.loop.run();
  BOOST_TEST(watched.answers == std::vector<int>{2}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
