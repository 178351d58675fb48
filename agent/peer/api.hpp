// Api: the requests of port 4007 behind the TLS server: who may ask what, errors as problems, one log line for each
// request that failed or changed something. Coroutines on the loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/cluster/admission.hpp"
#include "agent/http/application.hpp"
#include "agent/http/router.hpp"
#include "agent/peer/duties.hpp"
#include "agent/peer/kek_receiver.hpp"
#include "agent/peer/roster.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::peer {

// Why a stranger may not join, in words that are for it. It is told no other failure.
class JoinRefused final : public Error {
 public:
  using Error::Error;
};

class Api {
 public:
  struct Parts {
    std::function<CurrentRoster()> roster;  // null while this node belongs to no cluster
    KekReceiver& receiver;
    Duties& duties;
    std::function<Uuid()> node;  // this one; nil before it belongs to a cluster
    std::string version;         // of this software
    // Called when this node holds and has proved a KEK that another brought.
    std::function<asio::awaitable<void>()> took_over;
    // A member asks for a KEK that it should have: brings it there.
    std::function<asio::awaitable<void>(cluster::MemberEntry, cluster::Generation)> bring;
    // A stranger that proved this TLS key asks to become a member: the only request that strangers have.
    std::function<asio::awaitable<void>(cluster::JoinRequest, http::Fingerprint)> wants_to_join;
    // Does this node hold the volume? From a fresh look; throws where there can be none.
    std::function<asio::awaitable<volumes::Holding>(Uuid)> holds;
    // A member says hello: it is up (again). Must not throw.
    std::function<void(const Uuid&)> heard_of = {};
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
  asio::awaitable<http::Response> bring(http::Request request);
  asio::awaitable<http::Response> held(http::Request request);
  asio::awaitable<http::Response> join(http::Request request);
  asio::awaitable<std::optional<JoinRefused>> taken(http::Request request);
  asio::awaitable<http::Response> answer_to(http::Request request, std::string target, std::string from);

  Parts parts_;
  const std::shared_ptr<bool> taking_a_join_ = std::make_shared<bool>(false);  // outlives a request under way
  http::Router router_;
};

}  // namespace volcrypt::peer
