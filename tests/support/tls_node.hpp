// A server of port 4007 on loopback, on a thread of its own as the agent's loop is, with an application that tells what
// it was asked; and requests to it. For tests of the transport.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "agent/http/tls_client.hpp"
#include "agent/http/tls_server.hpp"

namespace volcrypt::test {

namespace asio = boost::asio;
using Endpoint = asio::ip::tcp::endpoint;

// A node's TLS key and what is made of it.
struct TlsSecret {
  std::shared_ptr<evp_pkey_st> key;
  http::TlsIdentity identity;
};
TlsSecret new_tls_secret();

class TlsNode {
 public:
  // On 127.0.0.1 and ::1 when no endpoints are given, on free ports.
  explicit TlsNode(http::TlsLimits limits, std::vector<Endpoint> endpoints = {});
  ~TlsNode();
  TlsNode(const TlsNode&) = delete;
  TlsNode& operator=(const TlsNode&) = delete;

  // The next requests are answered with these, one after the other.
  void answer_in_turn(std::vector<http::Response> responses);
  void stop();  // on its loop, which goes on
  void admit(const http::Fingerprint& key);
  void expel(const http::Fingerprint& key);

  std::vector<Endpoint> endpoints() const { return endpoints_; }
  http::TlsPeer as_peer() const { return {"node-a", endpoints_, secret_.identity.fingerprint()}; }
  std::set<std::string> targets() const;    // of all requests that reached the application
  std::vector<std::string> bodies() const;  // of those requests, in order
  http::TlsServer::Connections connections();

 private:
  asio::awaitable<http::Response> answer(http::Request request, std::string target);

  TlsSecret secret_ = new_tls_secret();
  asio::io_context loop_{1};
  mutable std::mutex mutex_;
  std::set<http::Fingerprint> members_;
  std::set<std::string> targets_;
  std::vector<std::string> bodies_;
  std::deque<http::Response> in_turn_;
  std::unique_ptr<http::TlsServer> server_;
  std::vector<Endpoint> endpoints_;
  std::thread thread_;
};

// The client's coroutine on a loop of its own, to its end.
http::Response answer_of(const http::TlsIdentity& identity, const http::TlsPeer& peer, http::TlsRequest request);

Endpoint closed_endpoint();  // of 127.0.0.1, where nobody listens

// Connections are taken by the kernel and never heard.
class SilentListener {
 public:
  SilentListener();
  Endpoint endpoint() const { return acceptor_.local_endpoint(); }

 private:
  asio::io_context loop_;
  asio::ip::tcp::acceptor acceptor_;
};

template <class Condition>
bool eventually(Condition holds) {
  for (int look = 0; look < 400 && !holds(); ++look) std::this_thread::sleep_for(std::chrono::milliseconds(25));
  return holds();
}

}  // namespace volcrypt::test
