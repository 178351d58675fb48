// The machine's own clock, see clock.hpp.
#include "agent/runtime/clock.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace volcrypt::runtime {

namespace {

class TimerAlarm final : public Clock::Alarm {
 public:
  TimerAlarm(const asio::any_io_executor& executor, std::chrono::milliseconds in) : timer_(executor, in) {}
  asio::awaitable<void> wait() override { co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable)); }
  // An expiry in the past ends a wait that is under way as well as one that has yet to begin.
  void ring() override { timer_.expires_at(Clock::Instant::min()); }

 private:
  asio::steady_timer timer_;
};

class SteadyClock final : public Clock {
 public:
  Instant now() const override { return std::chrono::steady_clock::now(); }
  std::unique_ptr<Alarm> alarm(const asio::any_io_executor& executor, std::chrono::milliseconds in) override {
    return std::make_unique<TimerAlarm>(executor, in);
  }
};

}  // namespace

Clock& Clock::steady() {
  static SteadyClock clock;
  return clock;
}

}  // namespace volcrypt::runtime
