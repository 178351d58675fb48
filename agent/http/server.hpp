// The HTTP server on a unix socket: accepts, limits, reads, asks the handler, answers. One request at a time on each
// connection, keep-alive between them. Every read and write has a deadline; memory is bounded by Limits whatever the
// clients do. Runs on the loop's thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>

#include "agent/http/application.hpp"

namespace volcrypt::http {

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
