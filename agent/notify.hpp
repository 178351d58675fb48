// Word to the service manager: ready, status, stopping, and the watchdog's beat. Nothing happens without a manager
// (NOTIFY_SOCKET unset). Source: sd_notify(3), sd_watchdog_enabled(3). Loop thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

namespace volcrypt::notify {

namespace asio = boost::asio;

void ready();
void status(const std::string& sentence);
void stopping();
// Beats twice per interval as long as the loop turns; returns at once when there is no watchdog.
asio::awaitable<void> beat();

}  // namespace volcrypt::notify
