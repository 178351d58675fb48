// Word to the service manager through libsystemd.
#include "agent/notify.hpp"

#include <systemd/sd-daemon.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdint>

namespace volcrypt::notify {

void ready() { sd_notify(0, "READY=1"); }
void status(const std::string& sentence) { sd_notify(0, ("STATUS=" + sentence).c_str()); }
void stopping() { sd_notify(0, "STOPPING=1\nSTATUS=Ending; live mappings stay as they are"); }

asio::awaitable<void> beat() {
  std::uint64_t interval = 0;
  if (sd_watchdog_enabled(0, &interval) <= 0) co_return;
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (;;) {
    sd_notify(0, "WATCHDOG=1");
    timer.expires_after(std::chrono::microseconds(interval / 2));
    co_await timer.async_wait(asio::use_awaitable);
  }
}

}  // namespace volcrypt::notify
