// SimulatedClock: time that stands still until the test moves it on, for many nodes in one thread. Alarms and events
// come in the order of their times; of one time, in the order in which they were set. It outlives every alarm.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <map>
#include <utility>

#include "agent/runtime/clock.hpp"

namespace volcrypt::test {

namespace asio = boost::asio;

class SimulatedClock final : public runtime::Clock {
 public:
  Instant now() const override { return now_; }

  std::unique_ptr<Alarm> alarm(const asio::any_io_executor& executor, std::chrono::milliseconds in) override {
    auto made = std::make_unique<SimulatedAlarm>(*this, executor);
    made->place = at(in, [alarm = made.get()] { alarm->ring(); });
    return made;
  }

  // What happens outside all nodes: a message arrives, a machine starts.
  using Place = std::pair<Instant, std::uint64_t>;
  Place at(std::chrono::milliseconds in, std::function<void()> event) {
    const Place place{now_ + in, next_++};
    events_.emplace(place, std::move(event));
    return place;
  }

  // To the next event, which happens. False: there is none, or it is later than `limit`, to which time moved on.
  bool move_on(Instant limit = Instant::max()) {
    if (events_.empty() || events_.begin()->first.first > limit) {
      if (limit != Instant::max()) now_ = limit;
      return false;
    }
    auto next = events_.extract(events_.begin());
    now_ = next.key().first;
    next.mapped()();
    return true;
  }

  // In a coroutine of a node.
  asio::awaitable<void> pause(std::chrono::milliseconds time) {
    const auto executor = co_await asio::this_coro::executor;
    const auto pause = alarm(executor, time);
    co_await pause->wait();
  }

 private:
  struct SimulatedAlarm final : Alarm {
    SimulatedAlarm(SimulatedClock& owner, const asio::any_io_executor& executor)
        : clock(owner), awaiter(executor, asio::steady_timer::time_point::max()) {}
    ~SimulatedAlarm() override { clock.events_.erase(place); }
    asio::awaitable<void> wait() override {
      if (!rung) co_await awaiter.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    void ring() override {
      rung = true;
      awaiter.cancel();
    }

    SimulatedClock& clock;
    asio::steady_timer awaiter;  // never ends by itself
    bool rung = false;
    Place place;
  };

  Instant now_{std::chrono::hours(1'000)};
  std::uint64_t next_ = 0;
  std::map<Place, std::function<void()>> events_;
};

}  // namespace volcrypt::test
