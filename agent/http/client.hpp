// The HTTP client on a unix socket: one connection, one request after the other, blocking, with a deadline over all of
// each request. For the command-line client and for tests. One thread at a time.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "agent/http/message.hpp"

namespace volcrypt::http {

class Client {
 public:
  // Connects. Throws Error with errno (ENOENT, ECONNREFUSED, EACCES) or errc::timed_out.
  Client(const std::filesystem::path& socket, std::chrono::milliseconds deadline);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Sends and waits for the whole answer, at most 16 MiB. `target` is already escaped. Throws Error with the
  // transport's cause or errc::timed_out; the connection is then unusable and the request's effect unknown.
  Response request(Method method, const std::string& target, const std::string& body,
                   std::chrono::milliseconds deadline);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace volcrypt::http
