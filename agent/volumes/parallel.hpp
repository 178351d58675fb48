// for_each_of: visits every item at the same time and returns when all visits have ended. For work whose width is
// bounded elsewhere (the device worker's pool, the batches of Unlocking). Coroutines on the loop.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <memory>
#include <vector>

namespace volcrypt::volumes {

namespace asio = boost::asio;

// `visit(item)` returns an awaitable<void>; `items` must stay until the end. The first exception is thrown after all
// visits have ended; a visit that must not spoil the others catches its own.
template <class Item, class Visit>
asio::awaitable<void> for_each_of(std::vector<Item>& items, Visit visit) {
  struct Meeting {
    explicit Meeting(const asio::any_io_executor& executor) : all(executor, asio::steady_timer::time_point::max()) {}
    asio::steady_timer all;
    std::size_t left = 0;
    std::exception_ptr failure;
  };
  const auto executor = co_await asio::this_coro::executor;
  const auto meeting = std::make_shared<Meeting>(executor);
  meeting->left = items.size();
  for (Item& item : items) {
    asio::co_spawn(executor, visit(item), [meeting](const std::exception_ptr& failure) {
      if (failure && !meeting->failure) meeting->failure = failure;
      if (--meeting->left == 0) meeting->all.expires_at(asio::steady_timer::time_point::min());
    });
  }
  while (meeting->left > 0) (void)co_await meeting->all.async_wait(asio::as_tuple(asio::use_awaitable));
  if (meeting->failure) std::rethrow_exception(meeting->failure);
}

}  // namespace volcrypt::volumes
