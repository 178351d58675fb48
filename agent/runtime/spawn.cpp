// spawn: co_spawn with a completion that never loses an exception.
#include "agent/runtime/spawn.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <exception>

#include "agent/runtime/log.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::runtime {

namespace {

void report(const std::string& name, const std::exception_ptr& failure) {
  if (!failure) return;
  try {
    std::rethrow_exception(failure);
  } catch (const boost::system::system_error& error) {
    if (error.code() == boost::asio::error::operation_aborted) return;
    log(Severity::error, "task failed", {{"task", name}, {"error", errc_name(error.code())}, {"cause", error.what()}});
  } catch (const std::exception& error) {
    log(Severity::error, "task failed", {{"task", name}, {"cause", error.what()}});
  }
}

}  // namespace

void spawn(boost::asio::any_io_executor executor, std::string name, boost::asio::awaitable<void> task) {
  boost::asio::co_spawn(executor, std::move(task),
                        [name = std::move(name)](const std::exception_ptr& failure) { report(name, failure); });
}

}  // namespace volcrypt::runtime
