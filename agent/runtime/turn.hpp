// Turn: lets coroutines of one loop pass one at a time, in the order they came, across their awaits. For "read, decide,
// write" on shared state. Loop thread only. A coroutine that ends or is destroyed, waiting or holding, passes the turn
// on.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <utility>

namespace volcrypt::runtime {

namespace asio = boost::asio;

class Turn {
  struct State;

 public:
  class [[nodiscard]] Held {
   public:
    explicit Held(std::shared_ptr<State> state) : state_(std::move(state)) {}
    Held(Held&& other) noexcept = default;
    Held& operator=(Held&&) = delete;
    ~Held() {
      if (state_) pass_on(*state_);
    }

   private:
    std::shared_ptr<State> state_;
  };

  Turn();
  ~Turn();
  asio::awaitable<Held> take();  // cancellable

 private:
  static void pass_on(State& state) noexcept;
  static asio::awaitable<Held> take(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace volcrypt::runtime
