// The HTTP server on a unix socket: accepts, limits, reads, asks the handler, answers. One request at a time on each
// connection, keep-alive between them. Every read and write has a deadline; memory is bounded by Limits whatever the
// clients do. Runs on the loop's thread. TCP and TLS (port 4007) join as another listener over the same session
// (server.cpp).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
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

// A socket file with its owner and mode: bound under a temporary name and renamed, so that it is never there with
// another mode. A socket that nobody answers on is replaced; a live one is errc::already_exists.
struct SocketFile {
  std::filesystem::path path;
  unsigned mode = 0660;
  std::optional<gid_t> group;  // empty: as the process
};

class Server {
 public:
  // Binds and listens; clients may connect from here on and are answered once run() runs.
  Server(asio::any_io_executor executor, const SocketFile& file, Limits limits, Application application);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  asio::awaitable<void> run();  // until stop()
  // Ends accepting and closes every connection, also those whose request is being handled; unlinks the socket file.
  void stop();
  std::size_t connections() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace volcrypt::http
