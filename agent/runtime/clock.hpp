// Clock: the time and the pauses of what must also run under a time that a test sets: the cluster's logic. Everything
// else uses Asio's timers. Loop thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>

namespace volcrypt::runtime {

namespace asio = boost::asio;

class Clock {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  // One pause that others can cut short. Destroyed at the latest with its executor.
  class Alarm {
   public:
    virtual ~Alarm() = default;
    virtual asio::awaitable<void> wait() = 0;  // until it rings; at once when it has rung. Throws nothing
    virtual void ring() = 0;
  };

  virtual ~Clock() = default;
  virtual Instant now() const = 0;
  virtual std::unique_ptr<Alarm> alarm(const asio::any_io_executor& executor, std::chrono::milliseconds in) = 0;

  static Clock& steady();  // the machine's own; lives as long as the program
};

}  // namespace volcrypt::runtime
