// See api.hpp.
#include "agent/peer/api.hpp"

#include "agent/http/problem.hpp"
#include "agent/runtime/log.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::peer {
namespace {

http::Response answer(std::string body) {
  http::Response response;
  response.body = std::move(body);
  return response;
}

// To a stranger no name of the cluster or its nodes is told.
http::Response not_a_member() {
  return http::problem(403, "peer_refused", "the key that you showed is no member's of this node's cluster",
                       "A node that was removed, or set up anew, has to be admitted by the authority again.");
}

}  // namespace

Api::Api(Parts parts) : parts_(std::move(parts)) {
  const auto add = [this](http::Method method, const char* pattern, auto call) {
    router_.add(method, pattern, [this, call](http::Request request) { return (this->*call)(std::move(request)); });
  };
  add(http::Method::get, "/v1/hello", &Api::hello);
  add(http::Method::post, "/v1/keks/offers", &Api::offer);
  add(http::Method::post, "/v1/keks", &Api::deliver);
  add(http::Method::post, "/v1/keks/proofs", &Api::prove);
  add(http::Method::get, "/v1/keys/warnings", &Api::warnings);
  add(http::Method::post, "/v1/membership", &Api::adopt);
  add(http::Method::post, "/v1/readiness", &Api::readiness);
  add(http::Method::post, "/v1/rewraps", &Api::rewrap);
  add(http::Method::get, "/v1/rewraps", &Api::rewrap_progress);
  add(http::Method::get, "/v1/census", &Api::census);
  add(http::Method::post, "/v1/retirements", &Api::retire);
}

Api::Caller Api::caller_of(const http::Peer& peer) const {
  Caller caller{parts_.roster(), nullptr};
  if (caller.roster && peer.tls_key) caller.member = caller.roster->by_key(*peer.tls_key);
  return caller;
}

bool Api::is_member(const http::Fingerprint& key) const {
  const CurrentRoster roster = parts_.roster();
  return roster && roster->by_key(key) != nullptr;
}

asio::awaitable<http::Response> Api::hello(http::Request request) {
  const Caller caller = caller_of(request.peer);
  const cluster::Membership& membership = caller.roster->membership();
  co_return answer(to_json(Hello{parts_.version, membership.cluster, parts_.node(), membership.version}));
}

asio::awaitable<http::Response> Api::offer(http::Request request) {
  const Caller caller = caller_of(request.peer);
  KekOffer offer = parse_kek_offer(request.body);
  const OfferAnswer wanted = co_await parts_.receiver.offered(std::move(offer), caller.member->node);
  co_return answer(to_json(wanted));
}

asio::awaitable<http::Response> Api::deliver(http::Request request) {
  const Caller caller = caller_of(request.peer);
  KekDelivery delivery = parse_kek_delivery(request.body);
  const std::string generation = std::to_string(delivery.transfer.record.generation);
  co_await parts_.receiver.delivered(std::move(delivery), caller.member->node, caller.roster);
  runtime::log(runtime::Severity::notice, "KEK taken over from another member",
               {{"generation", generation}, {"from", caller.member->name}});
  co_return answer("{}");
}

asio::awaitable<http::Response> Api::prove(http::Request request) {
  ProofRequest asked = parse_proof_request(request.body);
  const ProofAnswer proof = co_await parts_.receiver.asked(std::move(asked));
  co_return answer(to_json(proof));
}

asio::awaitable<http::Response> Api::warnings(http::Request) {
  Sentences warnings;
  warnings.sentences = co_await parts_.duties.self().key_warnings();
  co_return answer(to_json(warnings));
}

asio::awaitable<http::Response> Api::adopt(http::Request request) {
  const cluster::SignedMembership document = cluster::parse_signed_membership(request.body);
  co_await parts_.duties.self().adopt_membership(document);
  co_return answer("{}");
}

asio::awaitable<http::Response> Api::readiness(http::Request request) {
  const ReadinessRequest asked = parse_readiness_request(request.body);
  const cluster::MemberReadiness readiness = co_await parts_.duties.self().readiness(asked.protection);
  co_return answer(to_json(readiness));
}

asio::awaitable<http::Response> Api::rewrap(http::Request request) {
  const WorkRequest wanted = parse_work_request(request.body);
  const RewrapAnswer done = co_await parts_.duties.rewrap(wanted.generation);
  co_return answer(to_json(done));
}

asio::awaitable<http::Response> Api::rewrap_progress(http::Request) {
  const RewrapAnswer progress = co_await parts_.duties.progress();
  co_return answer(to_json(progress));
}

asio::awaitable<http::Response> Api::census(http::Request) {
  Census census;
  census.needed = co_await parts_.duties.self().census();
  co_return answer(to_json(census));
}

asio::awaitable<http::Response> Api::retire(http::Request request) {
  const Caller caller = caller_of(request.peer);
  const WorkRequest wanted = parse_work_request(request.body);
  co_await parts_.duties.retire(wanted.generation);
  runtime::log(runtime::Severity::notice, "KEK destroyed, as the cluster let it go",
               {{"generation", std::to_string(wanted.generation)}, {"asked by", caller.member->name}});
  co_return answer("{}");
}

asio::awaitable<http::Response> Api::handle(http::Request request, std::string target) {
  // Asked anew for each request: a member may have been removed since the handshake.
  const Caller caller = caller_of(request.peer);
  if (!caller.member) co_return not_a_member();
  http::Response failure;
  std::string cause, what;
  try {
    const http::Router::Match match = router_.match(request, target);
    what = std::string(http::to_text(request.method)) + " " + quoted(request.path);
    if (!match.handler) {
      failure = http::problem(match.allowed.empty() ? 404 : 405, "no_such_route", "this release does not know " + what,
                              "The nodes of a cluster must have the same version: see `volcryptctl get nodes`.");
      failure.allow = match.allowed;
      co_return failure;
    }
    co_return co_await match.handler(std::move(request));
  } catch (const Error& error) {
    failure = http::problem(error);
    cause = error.what();
  } catch (const std::exception& error) {
    failure = http::internal_problem();
    cause = error.what();
  }
  runtime::log(runtime::Severity::error, "a member's request failed: " + cause,
               {{"request", what}, {"from", caller.member->name}});
  co_return failure;
}

http::Application Api::application() {
  http::Application application;
  application.admit = [](const http::Peer&) { return std::nullopt; };  // by handle(), which knows the request
  application.handle = [this](http::Request request, std::string target) {
    return handle(std::move(request), std::move(target));
  };
  application.refuse = http::transport_problem;
  application.failed = [](const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      runtime::log(runtime::Severity::error, std::string("a member's request failed: ") + error.what());
    }
  };
  return application;
}

}  // namespace volcrypt::peer
