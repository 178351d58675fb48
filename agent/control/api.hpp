// Api: the routes behind the HTTP server: admission, matching, errors as problems, one log line and one count for each
// request that failed or changed something. ControlServer is the same on the local socket. Coroutines on the loop.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <optional>

#include "agent/control/routes.hpp"
#include "agent/http/router.hpp"
#include "agent/http/server.hpp"

namespace volcrypt::control {

class Api {
 public:
  // `group`: whose members are admitted beside root; empty for root alone. `services` must outlive the Api.
  Api(Services& services, std::optional<gid_t> group);
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  const http::Router& router() const noexcept { return router_; }
  // For a Server; `this` must outlive it.
  http::Application application();
  // Never throws: every Error is a problem, anything else kind "internal".
  asio::awaitable<http::Response> handle(http::Request request, std::string target);

 private:
  Services& services_;
  std::optional<gid_t> group_;
  Routes routes_;
  http::Router router_;
};

// The agent's control socket. The constructor binds it: root (or the process's user) and `group`, mode 0660.
class ControlServer {
 public:
  ControlServer(asio::any_io_executor executor, Services& services, std::filesystem::path socket,
                std::optional<gid_t> group, http::Limits limits = {});

  asio::awaitable<void> run() { return server_.run(); }  // until stop()
  void stop() { server_.stop(); }
  std::size_t connections() const noexcept { return server_.connections(); }

 private:
  Api api_;
  http::Server server_;
};

}  // namespace volcrypt::control
