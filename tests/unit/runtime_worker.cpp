// Worker, within and spawn. Built with the thread sanitizer too: here threads meet.
#define BOOST_TEST_DYN_LINK
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/test/unit_test.hpp>
#include <future>
#include <set>
#include <thread>

#include "agent/runtime/deadline.hpp"
#include "agent/runtime/spawn.hpp"
#include "agent/runtime/worker.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/await.hpp"

using namespace volcrypt;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using runtime::Worker;

namespace {

// A call that hangs until the test lets it go.
class Gate {
 public:
  void open() { opened_.set_value(); }
  auto call() const {
    return [future = future_] { future.wait(); };
  }

 private:
  std::promise<void> opened_;
  std::shared_future<void> future_ = opened_.get_future().share();
};

asio::awaitable<void> count_up(Worker& worker, std::atomic<int>& running, std::atomic<int>& most, int& ended) {
  co_await worker.run("count", 10s, [&] {
    const int now = ++running;
    int before = most.load();
    while (before < now && !most.compare_exchange_weak(before, now)) {
    }
    std::this_thread::sleep_for(1ms);
    --running;
  });
  ++ended;
}

asio::awaitable<void> note_end(asio::awaitable<void> task, boost::system::error_code& end) {
  try {
    co_await std::move(task);
  } catch (const boost::system::system_error& error) {
    end = error.code();
  }
}

asio::awaitable<void> wait_for(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<int> fail_after(std::chrono::milliseconds time) {
  co_await wait_for(time);
  throw Error(errc::conflict, {"do", "this", ""});
}

asio::awaitable<int> seven_after(std::chrono::milliseconds time) {
  co_await wait_for(time);
  co_return 7;
}

bool timed_out(const Error& error) { return error.code() == errc::timed_out; }

}  // namespace

BOOST_AUTO_TEST_CASE(a_call_returns_its_result_even_when_it_can_only_be_moved) {
  Worker worker("test", 1);
  auto result = test::await(worker.run("make", 10s, [] { return std::make_unique<int>(5); }));
  BOOST_TEST(*result == 5);
}

BOOST_AUTO_TEST_CASE(a_call_runs_on_a_thread_of_the_workers_name) {
  Worker worker("volcrypt-tpm", 1);
  char name[32] = {};
  const auto thread = test::await(worker.run("ask", 10s, [&] {
    pthread_getname_np(pthread_self(), name, sizeof name);
    return std::this_thread::get_id();
  }));
  BOOST_TEST(std::string(name) == "volcrypt-tpm");
  BOOST_TEST((thread != std::this_thread::get_id()));
}

BOOST_AUTO_TEST_CASE(an_exception_reaches_the_awaiter_and_the_thread_goes_on) {
  Worker worker("test", 1);
  BOOST_CHECK_THROW(test::await(worker.run("fail", 10s, []() -> int { throw std::runtime_error("broken"); })),
                    std::runtime_error);
  BOOST_TEST(test::await(worker.run("add", 10s, [] { return 1 + 1; })) == 2);
}

BOOST_AUTO_TEST_CASE(no_more_calls_run_at_once_than_the_worker_has_threads) {
  for (const int threads : {1, 3}) {
    asio::io_context loop;
    Worker worker("test", static_cast<std::size_t>(threads));
    std::atomic<int> running = 0, most = 0;
    int ended = 0;
    for (int i = 0; i < 60; ++i) runtime::spawn(loop.get_executor(), "count", count_up(worker, running, most, ended));
    loop.run();
    BOOST_TEST(ended == 60);
    BOOST_TEST(most.load() <= threads);
  }
}

BOOST_AUTO_TEST_CASE(a_call_that_hangs_is_given_up_and_its_thread_is_replaced) {
  Gate gate;
  auto token = std::make_shared<int>(0);
  std::weak_ptr<int> result_alive = token;
  {
    Worker worker("test", 1);
    const auto hang = [call = gate.call(), token = std::move(token)]() mutable {
      call();
      return std::move(token);
    };
    BOOST_CHECK_EXCEPTION(test::await(worker.run("hang", 20ms, hang)), Error, [](const Error& error) {
      return timed_out(error) && std::string(error.what()).find("hang") != std::string::npos;
    });
    BOOST_TEST(test::await(worker.run("go on", 10s, [] { return 3; })) == 3);
  }  // does not wait for the call that was given up
  gate.open();
  for (int i = 0; i < 1000 && !result_alive.expired(); ++i) std::this_thread::sleep_for(1ms);
  BOOST_TEST(result_alive.expired());  // the late result was destroyed
}

BOOST_AUTO_TEST_CASE(the_deadline_counts_from_the_moment_the_call_begins) {
  asio::io_context loop;
  Worker worker("test", 1);
  boost::system::error_code first, second;
  const auto nap = [] { std::this_thread::sleep_for(60ms); };
  runtime::spawn(loop.get_executor(), "first", note_end(worker.run("first", 100ms, nap), first));
  runtime::spawn(loop.get_executor(), "second", note_end(worker.run("second", 100ms, nap), second));
  loop.run();
  BOOST_TEST(!first);
  BOOST_TEST(!second);
}

BOOST_AUTO_TEST_CASE(destruction_waits_for_the_running_call_and_drops_those_that_wait) {
  asio::io_context loop;
  std::atomic<bool> first_ended = false, second_ran = false;
  boost::system::error_code first, second;
  {
    Worker worker("test", 1);
    std::promise<void> begun;
    runtime::spawn(loop.get_executor(), "first",
                   note_end(worker.run("first", 10s,
                                       [&] {
                                         begun.set_value();
                                         std::this_thread::sleep_for(50ms);
                                         first_ended = true;
                                       }),
                            first));
    loop.poll();
    begun.get_future().wait();
    runtime::spawn(loop.get_executor(), "second",
                   note_end(worker.run("second", 10s, [&] { second_ran = true; }), second));
    loop.restart();
    loop.poll();
  }
  BOOST_TEST(first_ended.load());
  loop.restart();
  loop.run();
  BOOST_TEST(!first);
  BOOST_TEST((second == asio::error::operation_aborted));
  BOOST_TEST(!second_ran.load());
}

BOOST_AUTO_TEST_CASE(a_loop_that_ends_first_is_never_touched_by_the_worker) {
  Gate gate;
  Worker worker("test", 2);
  {
    asio::io_context loop;
    boost::system::error_code end;
    for (int i = 0; i < 4; ++i) {  // two run, two wait
      runtime::spawn(loop.get_executor(), "hang", note_end(worker.run("hang", 10s, gate.call()), end));
    }
    loop.run_for(20ms);
  }
  gate.open();
  BOOST_TEST(test::await(worker.run("go on", 10s, [] { return 3; })) == 3);
}

BOOST_AUTO_TEST_CASE(an_awaiter_that_is_cancelled_leaves_the_call_behind) {
  Gate gate;
  Worker worker("test", 1);
  BOOST_CHECK_EXCEPTION(test::await(runtime::within("wait", 20ms, worker.run("hang", 10s, gate.call()))), Error,
                        timed_out);
  BOOST_TEST(test::await(worker.run("go on", 10s, [] { return 3; })) == 3);
  gate.open();
}

BOOST_AUTO_TEST_CASE(too_many_calls_are_refused_with_the_workers_name) {
  asio::io_context loop;
  Gate gate;
  Worker worker("test", 1);
  boost::system::error_code end;
  for (std::size_t i = 0; i < Worker::max_waiting + 2; ++i) {
    runtime::spawn(loop.get_executor(), "wait", note_end(worker.run("wait", 10s, gate.call()), end));
  }
  loop.poll();
  BOOST_TEST((end == errc::limit_exceeded));
  gate.open();
  loop.restart();
  loop.run();
}

BOOST_AUTO_TEST_CASE(calls_from_many_deadlines_and_ends_mix_without_a_race) {
  asio::io_context loop;
  Worker worker("test", 4);
  std::vector<boost::system::error_code> ends(200);
  for (std::size_t i = 0; i < ends.size(); ++i) {  // some overrun, some end in time, some end at the very deadline
    const auto time = std::chrono::microseconds(200 * (i % 10));
    runtime::spawn(loop.get_executor(), "mix",
                   note_end(worker.run("mix", 1ms, [time] { std::this_thread::sleep_for(time); }), ends[i]));
  }
  loop.run();
  for (const auto& end : ends) {
    BOOST_TEST((!end || end == errc::timed_out || end == errc::limit_exceeded));
  }
}

BOOST_AUTO_TEST_CASE(within_gives_the_result_of_a_task_that_is_quick_enough) {
  BOOST_TEST(test::await(runtime::within("wait", 10s, seven_after(1ms))) == 7);
}

BOOST_AUTO_TEST_CASE(within_gives_up_a_task_that_is_too_slow) {
  BOOST_CHECK_EXCEPTION(test::await(runtime::within("wait for seven", 10ms, seven_after(10s))), Error, timed_out);
}

BOOST_AUTO_TEST_CASE(within_passes_an_exception_on_at_once_and_as_it_is) {
  const auto begin = std::chrono::steady_clock::now();
  BOOST_CHECK_EXCEPTION(test::await(runtime::within("fail", 10s, fail_after(1ms))), Error,
                        [](const Error& error) { return error.code() == errc::conflict; });
  BOOST_TEST((std::chrono::steady_clock::now() - begin < 5s));
}

BOOST_AUTO_TEST_CASE(a_spawned_task_that_throws_does_not_end_the_loop) {
  asio::io_context loop;
  boost::system::error_code end = errc::unknown_outcome;
  runtime::spawn(loop.get_executor(), "fail", runtime::within("fail", 1s, note_end(wait_for(1ms), end)));
  runtime::spawn(loop.get_executor(), "end", note_end(wait_for(2ms), end));
  loop.run();
  BOOST_TEST((end == errc::unknown_outcome));
}

BOOST_AUTO_TEST_CASE(a_worker_without_threads_runs_calls_in_place) {
  Worker worker("none", 0);
  std::thread::id there;
  const auto note = [&] {
    there = std::this_thread::get_id();
    return 7;
  };
  BOOST_TEST(test::await(worker.run("note", 10s, note)) == 7);
  BOOST_TEST((there == std::this_thread::get_id()));
  const auto fail = []() -> int { throw Error(errc::conflict, {"fail", "", ""}); };
  BOOST_CHECK_EXCEPTION(test::await(worker.run("fail", 10s, fail)), Error,
                        [](const Error& error) { return error.code() == errc::conflict; });
}
