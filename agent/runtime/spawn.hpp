// The one way to start a coroutine that nobody awaits: it has a name, and an exception that leaves it is reported.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>

namespace volcrypt::runtime {

// `failed` (called on the executor) gets the name and the exception; the default logs an error line.
void spawn(boost::asio::any_io_executor executor, std::string name, boost::asio::awaitable<void> task);

}  // namespace volcrypt::runtime
