// RetirementGate: between the last census of a KEK generation and its destruction no volume may begin to need it.
// Whoever opens a volume enters under its generation, and waits while that one is being retired; whoever retires closes
// the gate, counts who is inside, and may destroy what nobody needs. Loop thread only.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "agent/keys/kek_store.hpp"

namespace volcrypt::volumes {

namespace asio = boost::asio;

class RetirementGate {
  struct State {
    std::multiset<keys::Generation> inside;
    std::map<keys::Generation, std::vector<std::shared_ptr<asio::steady_timer>>> closed;  // and who waits before it
  };

  // Ends what enter() or close() began; may outlive the gate.
  template <void (*end)(State&, keys::Generation)>
  class Until {
   public:
    Until(std::shared_ptr<State> state, keys::Generation generation)
        : state_(std::move(state)), generation_(generation) {}
    Until(Until&& other) noexcept = default;
    Until& operator=(Until&&) = delete;
    ~Until() {
      if (state_) end(*state_, generation_);
    }

   private:
    std::shared_ptr<State> state_;
    keys::Generation generation_;
  };

  static void leave(State& state, keys::Generation generation) { state.inside.erase(state.inside.find(generation)); }
  static void open(State& state, keys::Generation generation) {
    const auto waiting = std::move(state.closed.extract(generation).mapped());
    for (const std::shared_ptr<asio::steady_timer>& waiter : waiting) waiter->cancel();
  }

 public:
  using Entered = Until<&RetirementGate::leave>;
  using Closed = Until<&RetirementGate::open>;

  asio::awaitable<Entered> enter(keys::Generation generation) {
    const std::shared_ptr<State> state = state_;
    for (auto gate = state->closed.find(generation); gate != state->closed.end();
         gate = state->closed.find(generation)) {
      auto turn = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor,
                                                       asio::steady_timer::time_point::max());
      gate->second.push_back(turn);
      const auto [woken] = co_await turn->async_wait(asio::as_tuple(asio::use_awaitable));  // cancelled when it opens
      const auto still = state->closed.find(generation);
      if (still != state->closed.end() && std::erase(still->second, turn) > 0)  // it did not: we were called off
        throw boost::system::system_error(woken, "wait for the end of a retirement");
    }
    state->inside.insert(generation);
    co_return Entered(state, generation);
  }

  // One retirement of a generation at a time: the second of two waits for nothing and must not begin.
  bool is_closed(keys::Generation generation) const { return state_->closed.contains(generation); }
  Closed close(keys::Generation generation) {
    state_->closed.try_emplace(generation);
    return {state_, generation};
  }
  std::set<keys::Generation> inside() const { return {state_->inside.begin(), state_->inside.end()}; }

 private:
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace volcrypt::volumes
