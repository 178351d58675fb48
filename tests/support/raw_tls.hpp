// Clients below the one of ours: TCP without TLS, and TLS with what our client would never send. Blocking.
#pragma once

#include "tests/support/tls_node.hpp"

namespace volcrypt::test {

class TcpClient {
 public:
  explicit TcpClient(const TlsNode& server, const std::string& from = "127.0.0.1");
  TcpClient(TcpClient&&) noexcept;
  ~TcpClient();
  void send(const std::string& text);
  std::string rest();  // everything until the server closes

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct TlsShape {
  enum class Certificate { plain, none, rsa, p384, expired, future, huge };
  enum class Version { tls12, tls13 };
  Certificate certificate = Certificate::plain;
  Version newest_version = Version::tls13;
  const TlsSecret* key = nullptr;  // a new one when left out
};

class RawTls {
 public:
  RawTls(const TlsNode& server, const TlsShape& shape);
  ~RawTls();
  RawTls(const RawTls&) = delete;
  RawTls& operator=(const RawTls&) = delete;
  // The answer's header and what came with it; empty when the server closed, now or in the handshake.
  std::string answer(const std::string& target);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Of one request on a connection of its own.
std::string raw_tls_answer(const TlsNode& server, const TlsShape& shape);

}  // namespace volcrypt::test
