// Network: messages between the nodes of a simulation and its store: late, lost, doubled, out of order, as the seed
// wants, and none at all between two ends that are cut off from each other. A call runs at the other end, on that end's
// own loop: it goes on when who asked has died, and ends unanswered when the other end dies.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/simulated_clock.hpp"

namespace volcrypt::test {

using namespace std::chrono_literals;

// One source of chance for everything, so that a seed tells the whole story.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(engine_() % bound); }
  bool per_mille(std::size_t part) { return below(1000) < part; }
  std::chrono::milliseconds up_to(std::chrono::milliseconds most) {
    return std::chrono::milliseconds(below(static_cast<std::size_t>(most.count()) + 1));
  }

 private:
  std::mt19937_64 engine_;
};

struct Weather {
  std::size_t lost = 0, doubled = 0, late = 0;  // per mille of the messages
  std::chrono::milliseconds latency{5}, lateness{6'000};
};

class Network {
 public:
  using End = std::size_t;  // a node's number; the store's is the last one
  using Loop = std::function<asio::io_context*(End)>;

  Network(SimulatedClock& clock, Chance& chance, Loop loop_of)
      : clock_(clock), chance_(chance), loop_of_(std::move(loop_of)) {}

  Weather weather;

  void cut(End one, End other) { cut_.insert(std::minmax(one, other)); }
  void mend(End one, End other) { cut_.erase(std::minmax(one, other)); }
  void mend() { cut_.clear(); }
  bool connects(End one, End other) const { return one == other || !cut_.contains(std::minmax(one, other)); }

  // Empty: no answer came in time, and whether the other end did it nobody knows. `work` may run more than once.
  template <class T>
  asio::awaitable<std::optional<T>> call(End from, End to, std::function<asio::awaitable<T>()> work,
                                         std::chrono::milliseconds deadline) {
    const auto executor = co_await asio::this_coro::executor;
    const auto alarm = clock_.alarm(executor, deadline);
    const auto reply = std::make_shared<Reply<T>>();
    reply->alarm = alarm.get();
    struct Leave {
      std::shared_ptr<Reply<T>> reply;
      ~Leave() { reply->alarm = nullptr; }
    } const leave{reply};
    send(from, to, [this, from, to, work = std::move(work), reply] { perform(from, to, work, reply); });
    co_await alarm->wait();
    if (reply->failure) std::rethrow_exception(reply->failure);
    co_return std::move(reply->value);
  }

 private:
  template <class T>
  struct Reply {
    runtime::Clock::Alarm* alarm = nullptr;  // null: nobody waits any more
    std::optional<T> value;
    std::exception_ptr failure;
  };

  void send(End from, End to, std::function<void()> message) {
    if (!connects(from, to) || chance_.per_mille(weather.lost)) return;
    if (chance_.per_mille(weather.doubled)) clock_.at(delay(), message);
    clock_.at(delay(), std::move(message));
  }
  std::chrono::milliseconds delay() {
    return 1ms + (chance_.per_mille(weather.late) ? chance_.up_to(weather.lateness) : chance_.up_to(weather.latency));
  }

  template <class T>
  void perform(End from, End to, const std::function<asio::awaitable<T>()>& work, std::shared_ptr<Reply<T>> reply) {
    auto* loop = loop_of_(to);
    if (loop == nullptr || !connects(from, to)) return;
    asio::co_spawn(*loop, work(), [this, from, to, reply](std::exception_ptr failure, std::optional<T> value) {
      send(to, from, [reply, failure, value = std::move(value)] {
        if (reply->alarm == nullptr || reply->value || reply->failure) return;
        reply->failure = failure;
        reply->value = value;
        reply->alarm->ring();
      });
    });
  }

  SimulatedClock& clock_;
  Chance& chance_;
  Loop loop_of_;
  std::set<std::pair<End, End>> cut_;
};

}  // namespace volcrypt::test
