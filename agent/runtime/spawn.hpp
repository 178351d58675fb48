// The one way to start a coroutine that nobody awaits: it has a name, and an exception that leaves it is reported.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>

namespace volcrypt::runtime {

// An exception that leaves `task` becomes one error line "task NAME failed"; operation_aborted is the end of a task
// that was called off and is not reported. Give a named coroutine function's awaitable, never a capturing lambda's.
void spawn(boost::asio::any_io_executor executor, std::string name, boost::asio::awaitable<void> task);

}  // namespace volcrypt::runtime
