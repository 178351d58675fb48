// A queue of sleeping coroutines; whoever ends its turn wakes the next, see turn.hpp.
#include "agent/runtime/turn.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <list>

namespace volcrypt::runtime {

namespace {

struct Waiter {
  asio::steady_timer alarm;
  bool granted = false;
};

}  // namespace

struct Turn::State {
  bool taken = false;
  std::list<Waiter*> waiting;
};

Turn::Turn() : state_(std::make_shared<State>()) {}
Turn::~Turn() = default;

void Turn::pass_on(State& state) noexcept {
  if (state.waiting.empty()) {
    state.taken = false;
    return;
  }
  auto* next = state.waiting.front();
  state.waiting.pop_front();
  next->granted = true;  // the turn stays taken: nobody can slip in between
  next->alarm.expires_at(asio::steady_timer::time_point::min());
}

asio::awaitable<Turn::Held> Turn::take() { return take(state_); }

asio::awaitable<Turn::Held> Turn::take(std::shared_ptr<State> state) {
  if (!std::exchange(state->taken, true)) co_return Held(std::move(state));
  Waiter waiter{asio::steady_timer(co_await asio::this_coro::executor, asio::steady_timer::time_point::max())};
  struct Leave {
    State& state;
    Waiter& waiter;
    bool kept = false;
    ~Leave() {
      if (!waiter.granted) state.waiting.remove(&waiter);
      if (waiter.granted && !kept) pass_on(state);
    }
  } leave{*state, waiter};
  state->waiting.push_back(&waiter);
  co_await waiter.alarm.async_wait(asio::as_tuple(asio::use_awaitable));
  if (!waiter.granted) throw boost::system::system_error(asio::error::operation_aborted, "wait for the turn");
  leave.kept = true;
  co_return Held(state);
}

}  // namespace volcrypt::runtime
