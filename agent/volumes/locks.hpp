// Locks: one operation per volume at a time. A coroutine waits for its turn; the order is that of arrival.
// Loop thread only: nothing here blocks or is shared between threads.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <map>
#include <memory>
#include <string>

namespace volcrypt::volumes {

namespace asio = boost::asio;

class Locks {
  using Waiting =
      std::map<std::string, std::deque<std::shared_ptr<asio::steady_timer>>>;  // a key is there while it is held

 public:
  // Held until it ends; the next waiter then runs. May outlive the Locks: a coroutine that is destroyed late ends
  // quietly.
  class Held {
   public:
    Held(std::shared_ptr<Waiting> waiting, std::string name) : waiting_(std::move(waiting)), name_(std::move(name)) {}
    Held(Held&& other) noexcept = default;
    Held& operator=(Held&&) = delete;
    ~Held() {
      if (waiting_) release();
    }

   private:
    void release() noexcept {
      const auto slot = waiting_->find(name_);
      if (slot->second.empty()) {
        waiting_->erase(slot);
        return;
      }
      const std::shared_ptr<asio::steady_timer> next = std::move(slot->second.front());
      slot->second.pop_front();
      next->cancel();
    }

    std::shared_ptr<Waiting> waiting_;
    std::string name_;
  };

  asio::awaitable<Held> lock(std::string name) {
    const std::shared_ptr<Waiting> waiting = waiting_;
    const auto [slot, free] = waiting->try_emplace(name);
    if (!free) {
      auto turn = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor,
                                                       asio::steady_timer::time_point::max());
      slot->second.push_back(turn);
      (void)co_await turn->async_wait(asio::as_tuple(asio::use_awaitable));  // cancelled when it is our turn
    }
    co_return Held(waiting, std::move(name));
  }

 private:
  std::shared_ptr<Waiting> waiting_ = std::make_shared<Waiting>();
};

}  // namespace volcrypt::volumes
