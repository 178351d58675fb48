// What an HTTP server serves, and within which limits, whoever its clients are. Values; loop thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <string>

#include "agent/http/message.hpp"

namespace volcrypt::http {

namespace asio = boost::asio;

struct Limits {
  std::size_t connections = 256;              // more are answered 503 and closed: a boot attaches many drives at once
  std::size_t header_bytes = 16 * 1024;       // request line and header; more is 431
  std::size_t body_bytes = 4 * 1024 * 1024;   // of one request; more is 413
  std::size_t all_bodies = 16 * 1024 * 1024;  // of all requests together, as announced; more is 503
  std::chrono::milliseconds idle{30000};      // from connect, or the last answer, to the whole next header
  std::chrono::milliseconds body{30000};      // for a whole body
  std::chrono::milliseconds write{30000};     // for a whole answer
};

// What the server serves. `admit` sees the peer before a body is read: a Response refuses the request. `handle` answers
// by method and target; an exception that leaves it is answered with 500 and told to `failed`.
struct Application {
  std::function<std::optional<Response>(const Peer&)> admit;
  std::function<asio::awaitable<Response>(Request, std::string target)> handle;
  // The server's own refusals (431, 413, 503, ...) in the application's words.
  std::function<Response(unsigned status, std::string message)> refuse;
  std::function<void(const std::exception_ptr&)> failed;
};

}  // namespace volcrypt::http
