// Api: the requests of port 4007 behind the TLS server: who may ask what, errors as problems, one log line for each
// request that failed or changed something. Coroutines on the loop.
#pragma once

#include <functional>
#include <string>

#include "agent/http/application.hpp"
#include "agent/http/router.hpp"
#include "agent/peer/duties.hpp"
#include "agent/peer/kek_receiver.hpp"
#include "agent/peer/roster.hpp"

namespace volcrypt::peer {

class Api {
 public:
  struct Parts {
    std::function<CurrentRoster()> roster;  // null while this node belongs to no cluster
    KekReceiver& receiver;
    Duties& duties;
    std::function<Uuid()> node;  // this one; nil before it belongs to a cluster
    std::string version;         // of this software
  };

  explicit Api(Parts parts);
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  // For a TlsServer; `this` must outlive it.
  http::Application application();
  bool is_member(const http::Fingerprint& key) const;
  // Never throws: every Error is a problem, anything else kind "internal".
  asio::awaitable<http::Response> handle(http::Request request, std::string target);

 private:
  // Who asks, and the document that says so, for the time of one request.
  struct Caller {
    CurrentRoster roster;
    const cluster::MemberEntry* member = nullptr;
  };
  Caller caller_of(const http::Peer& peer) const;
  asio::awaitable<http::Response> hello(http::Request request);
  asio::awaitable<http::Response> offer(http::Request request);
  asio::awaitable<http::Response> deliver(http::Request request);
  asio::awaitable<http::Response> prove(http::Request request);
  asio::awaitable<http::Response> warnings(http::Request request);
  asio::awaitable<http::Response> adopt(http::Request request);
  asio::awaitable<http::Response> readiness(http::Request request);
  asio::awaitable<http::Response> rewrap(http::Request request);
  asio::awaitable<http::Response> rewrap_progress(http::Request request);
  asio::awaitable<http::Response> census(http::Request request);
  asio::awaitable<http::Response> retire(http::Request request);

  Parts parts_;
  http::Router router_;
};

}  // namespace volcrypt::peer
