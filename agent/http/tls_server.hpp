// The HTTP server on TCP under TLS: port 4007. Members are the clients whose key the cluster knows; all others are
// strangers, who may ask to join and get little: a few connections for a short time, small bodies. Neither a stranger
// nor a member can use up what the others need. Runs on the loop's thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "agent/http/application.hpp"
#include "agent/http/tls.hpp"

namespace volcrypt::http {

struct TlsLimits {
  Limits members{.connections = 256};  // of all members together; more is 503
  std::size_t of_one_member = 16;      // connections; one more ends this member's oldest
  // Everybody is a stranger until the handshake is over. One connection more ends the oldest stranger's: whoever comes
  // gets as long as it takes for so many others to come.
  Limits strangers{.connections = 32,
                   .body_bytes = 64 * 1024,
                   .all_bodies = 1024 * 1024,
                   .idle = std::chrono::milliseconds{10000},
                   .body = std::chrono::milliseconds{10000},
                   .write = std::chrono::milliseconds{10000}};
  std::size_t of_one_address = 8;              // strangers' connections from one IPv4 address or IPv6 /64
  std::chrono::milliseconds handshake{10000};  // from connect to the end of the handshake
};

class TlsServer {
 public:
  using IsMember = std::function<bool(const Fingerprint&)>;

  // Binds and listens on all of `endpoints`; port 0 takes a free one. An address that this machine does not have yet is
  // bound all the same (ip(7), IP_FREEBIND): at boot it may come late. Throws Error with errno that names the endpoint.
  // `is_member` is asked after each handshake and decides the limits; what a peer may ask is the application's to say,
  // at each request anew.
  TlsServer(asio::any_io_executor executor, const std::vector<asio::ip::tcp::endpoint>& endpoints, TlsIdentity identity,
            TlsLimits limits, Application application, IsMember is_member);
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  std::vector<asio::ip::tcp::endpoint> endpoints() const;
  void run();   // starts answering; returns at once
  void stop();  // ends accepting and closes every connection
  struct Connections {
    std::size_t members = 0, strangers = 0;
  };
  Connections connections() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace volcrypt::http
