// await: runs the loop until one coroutine has ended, and gives its result or throws its exception. For tests that
// call the daemon's coroutines from plain test cases. The loop may hold background tasks; they go on meanwhile.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <stdexcept>
#include <type_traits>

namespace volcrypt::test {

template <class T>
T await(boost::asio::io_context& loop, boost::asio::awaitable<T> task) {
  std::exception_ptr failure;
  bool ended = false;
  const auto run = [&] {
    loop.restart();
    while (!ended && loop.run_one() > 0) {
    }
    if (!ended) throw std::logic_error("the loop ran dry before the coroutine ended");
    if (failure) std::rethrow_exception(failure);
  };
  if constexpr (std::is_void_v<T>) {
    boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr error) {
      failure = error;
      ended = true;
    });
    run();
  } else {
    std::optional<T> result;
    boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr error, std::optional<T> value) {
      failure = error;
      if (!error) result = std::move(value);
      ended = true;
    });
    run();
    return std::move(*result);
  }
}

template <class T>
T await(boost::asio::awaitable<T> task) {
  boost::asio::io_context loop;
  return await(loop, std::move(task));
}

}  // namespace volcrypt::test
