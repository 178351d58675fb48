// See api.hpp.
#include "agent/peer/api.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

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

constexpr const char* joins = "/v1/joins";
const std::string stranger = "a stranger at ";

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
  add(http::Method::post, "/v1/keks/wanted", &Api::bring);
  add(http::Method::post, "/v1/volumes/held", &Api::held);
  add(http::Method::post, joins, &Api::join);
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
  if (parts_.heard_of) parts_.heard_of(caller.member->node);
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
  if (parts_.took_over) co_await parts_.took_over();
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

asio::awaitable<http::Response> Api::bring(http::Request request) {
  const Caller caller = caller_of(request.peer);
  const WorkRequest wanted = parse_work_request(request.body);
  co_await parts_.bring(*caller.member, wanted.generation);
  runtime::log(runtime::Severity::notice, "KEK brought to a member that asked for it",
               {{"generation", std::to_string(wanted.generation)}, {"to", caller.member->name}});
  co_return answer("{}");
}

asio::awaitable<http::Response> Api::held(http::Request request) {
  const VolumeQuestion asked = parse_volume_question(request.body);
  VolumeAnswer holding;
  holding.holding = co_await parts_.holds(asked.volume);
  co_return answer(to_json(holding));
}

asio::awaitable<std::optional<JoinRefused>> Api::taken(http::Request request) {
  const ErrorContext what{"take", "the request to join", ""};
  if (*taking_a_join_)
    co_return JoinRefused(errc::limit_exceeded,
                          {what.operation, what.object, "Others are being looked at: try again."});
  struct Taking {
    std::shared_ptr<bool> now;
    explicit Taking(std::shared_ptr<bool> flag) : now(std::move(flag)) { *now = true; }
    ~Taking() { *now = false; }
    Taking(const Taking&) = delete;
    Taking& operator=(const Taking&) = delete;
  } const taking(taking_a_join_);
  try {
    const cluster::JoinRequest wish = cluster::parse_join_request(request.body);
    co_await parts_.wants_to_join(wish, *request.peer.tls_key);
    runtime::log(runtime::Severity::notice, "a node wants to join the cluster",
                 {{"node", wish.node.str()}, {"address", request.peer.address}});
    co_return std::nullopt;
  } catch (const JoinRefused& error) {
    co_return error;
  } catch (const Error& error) {
    if (error.code() == errc::token_malformed || error.code() == errc::token_version)
      co_return JoinRefused(error.code(), {what.operation, what.object, error.way_out()});
    runtime::log(runtime::Severity::error, "a request to join cannot be taken", {{"cause", error.what()}});
    co_return JoinRefused(errc::timed_out, {what.operation, what.object, "The member's journal says why."});
  }
}

// One at a time, and after a refusal slowly: each costs the store something, and anybody may try.
asio::awaitable<http::Response> Api::join(http::Request request) {
  constexpr std::chrono::milliseconds after_a_refusal{500};
  const std::optional<JoinRefused> refusal = co_await taken(std::move(request));
  if (!refusal) co_return answer("{}");
  asio::steady_timer pause(co_await asio::this_coro::executor, after_a_refusal);
  co_await pause.async_wait(asio::use_awaitable);
  throw JoinRefused(*refusal);
}

asio::awaitable<http::Response> Api::handle(http::Request request, std::string target) {
  // Asked anew for each request: a member may have been removed since the handshake.
  const Caller caller = caller_of(request.peer);
  const bool wants_to_join = parts_.wants_to_join && caller.roster && request.peer.tls_key &&
                             request.method == http::Method::post && target == joins;
  if (!caller.member && !wants_to_join) co_return not_a_member();
  std::string from = caller.member ? caller.member->name : stranger + request.peer.address;
  co_return co_await answer_to(std::move(request), std::move(target), std::move(from));
}

asio::awaitable<http::Response> Api::answer_to(http::Request request, std::string target, std::string from) {
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
  runtime::log(runtime::Severity::error, "a member's request failed: " + cause, {{"request", what}, {"from", from}});
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
