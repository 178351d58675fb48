// within: awaits a task for a bounded time. For operations of the loop itself (sockets, timers, the store's watch);
// blocking calls have their deadline in Worker::run. The task ends by cancellation, so it must be made of operations
// that can be cancelled.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <string>

#include "dmtarget/error.hpp"

namespace volcrypt::runtime {

namespace asio = boost::asio;

// `a || b` waits for the first *success*: a task that throws would be noticed only when the timer ends, and as a
// timeout. So the task's exception is caught here and kept.
template <class T>
struct Kept {
  std::optional<T> value;
  std::exception_ptr failure;
};
template <>
struct Kept<void> {
  std::optional<bool> value;
  std::exception_ptr failure;
};

template <class T>
asio::awaitable<void> keep_result(asio::awaitable<T> task, Kept<T>& kept) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
      kept.value = true;
    } else {
      kept.value.emplace(co_await std::move(task));
    }
  } catch (...) {  // within() throws it
    kept.failure = std::current_exception();
  }
}

// Throws Error(errc::timed_out) that names `operation` when `limit` passes first; otherwise the task's result or
// exception.
template <class T>
asio::awaitable<T> within(std::string operation, std::chrono::milliseconds limit, asio::awaitable<T> task) {
  using namespace asio::experimental::awaitable_operators;
  asio::steady_timer timer(co_await asio::this_coro::executor, limit);
  Kept<T> kept;
  const auto first = co_await (keep_result<T>(std::move(task), kept) || timer.async_wait(asio::use_awaitable));
  if (!kept.value) {
    if (first.index() == 1) {
      throw Error(errc::timed_out, {std::move(operation), "within " + std::to_string(limit.count()) + " ms", ""});
    }
    std::rethrow_exception(kept.failure);
  }
  if constexpr (!std::is_void_v<T>) co_return std::move(*kept.value);
}

}  // namespace volcrypt::runtime
