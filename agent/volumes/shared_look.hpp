// SharedLook: one look at the machine for all who want it at the same time, such as a scan when a hundred drives come
// at once at boot. No answer is older than its question: whoever asks while a look is under way gets the next one's.
// Loop thread only.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/runtime/spawn.hpp"

namespace volcrypt::volumes {

namespace asio = boost::asio;

template <class Answer>
class SharedLook {
 public:
  using Look = std::function<asio::awaitable<Answer>()>;

  // `look` and what it uses must outlive the loop's run: it goes on when all who asked have gone. `name` is the task's.
  SharedLook(std::string name, Look look)
      : state_(std::make_shared<State>(State{std::move(name), std::move(look), nullptr, false})) {}

  // Throws what the look threw, to all who shared it.
  asio::awaitable<Answer> ask() {
    const auto executor = co_await asio::this_coro::executor;
    if (!state_->next) state_->next = std::make_shared<Round>(executor);
    const std::shared_ptr<Round> round = state_->next;
    if (!std::exchange(state_->looking, true)) runtime::spawn(executor, state_->name, look_for_all(state_));
    while (!round->over) {
      const auto [error] = co_await round->end.async_wait(asio::as_tuple(asio::use_awaitable));
      if (error && !round->over) throw boost::system::system_error(error, state_->name);
    }
    if (round->failure) std::rethrow_exception(round->failure);
    co_return *round->answer;
  }

 private:
  struct Round {
    explicit Round(const asio::any_io_executor& executor) : end(executor, asio::steady_timer::time_point::max()) {}
    asio::steady_timer end;
    std::optional<Answer> answer;
    std::exception_ptr failure;
    bool over = false;
  };
  struct State {
    std::string name;
    Look look;
    std::shared_ptr<Round> next;  // of those who asked after the present look began
    bool looking = false;
  };

  static asio::awaitable<void> look_for_all(std::shared_ptr<State> state) {
    const auto executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, asio::use_awaitable);  // for those who ask in the same breath
    while (state->next) {
      const std::shared_ptr<Round> round = std::exchange(state->next, nullptr);
      try {
        round->answer = co_await state->look();
      } catch (...) {  // handed to everyone who asked
        round->failure = std::current_exception();
      }
      round->over = true;
      round->end.cancel();
    }
    state->looking = false;
  }

  std::shared_ptr<State> state_;
};

}  // namespace volcrypt::volumes
