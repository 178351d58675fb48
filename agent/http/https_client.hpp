// The HTTP client for a server that somebody else runs, with certificates (etcd): TLS 1.2 or 1.3, the server's chain
// checked against the operator's authority, its name or address against the certificate. Nodes are not asked by it:
// their keys are pinned (tls_client.hpp). One request per connection. Coroutines on the loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/http/https_server.hpp"
#include "agent/http/message.hpp"

namespace boost::asio::ssl {
class context;
}

namespace volcrypt::http {

namespace asio = boost::asio;

// Whom this end believes and what it shows of itself. A value that is shared.
class HttpsTrust {
 public:
  // Blocks (reads the files). Throws Error: errno, or errc::invalid_argument for a file that OpenSSL does not take or a
  // key that is not the certificate's; the text names the file.
  explicit HttpsTrust(const HttpsFiles& files);
  asio::ssl::context& context() const noexcept { return *context_; }

 private:
  std::shared_ptr<asio::ssl::context> context_;
};

struct HttpsRequest {
  Method method = Method::post;
  std::string target = {};  // escaped already
  std::string body = {};    // JSON, no secret
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::size_t answer_bytes = 4 * 1024 * 1024;  // of an answer, or of a line of one; more is errc::limit_exceeded
};

// Destroying it closes the connection, wherever an answer stands.
class HttpsConnection {
 public:
  // Finds the host, connects, checks the certificate; a name with several addresses is tried at each. Throws Error:
  // errno, errc::timed_out, or errc::peer_refused with what is wrong with the certificate. Nothing was sent then.
  static asio::awaitable<HttpsConnection> open(HttpsTrust trust, HttpsServer server, std::chrono::milliseconds limit);
  HttpsConnection(HttpsConnection&&) noexcept;
  HttpsConnection& operator=(HttpsConnection&&) noexcept;
  ~HttpsConnection();

  // The whole answer, whatever its status. Throws Error: errc::timed_out, errc::limit_exceeded or the transport's
  // cause; the request may have taken effect then.
  asio::awaitable<Response> ask(HttpsRequest request, std::chrono::milliseconds limit);

  // For an answer that comes line by line, for as long as the server likes: returns when its head is there, with the
  // body only where the status is not 200. next_line gives one line without its end, and throws as ask() does, with
  // asio::error::eof when the server has ended. After errc::timed_out the connection is of no more use.
  asio::awaitable<Response> ask_for_lines(HttpsRequest request, std::chrono::milliseconds limit);
  asio::awaitable<std::string> next_line(std::chrono::milliseconds limit);

 private:
  struct State;
  explicit HttpsConnection(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace volcrypt::http
