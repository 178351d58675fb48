// See client.hpp.
#include "agent/peer/client.hpp"

#include <algorithm>

#include "agent/http/json_body.hpp"
#include "agent/keys/box.hpp"
#include "agent/keys/messages.hpp"
#include "agent/peer/kek_receiver.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::peer {
namespace {

constexpr std::size_t longest_answer = 64 * 1024;  // bytes

std::string words_of(const http::Response& answer) {
  try {
    http::JsonObject body(answer.body, "the answer");
    http::JsonObject error = body.object("error");
    return printable(error.string("kind") + ": " + error.string("message") + ". " + error.string("wayOut"));
  } catch (const Error&) {  // not one of our problems: the status must do
    return "It answered with HTTP status " + std::to_string(answer.status) + ".";
  }
}

Digest fresh_nonce() {
  const Secret random = Secret::random(sizeof(Digest));
  Digest nonce{};
  std::ranges::copy(random.view(), nonce.begin());
  return nonce;
}

}  // namespace

asio::awaitable<std::string> Client::ask(http::TlsRequest request) const {
  request.answer_bytes = longest_answer;
  const std::string what = request.target;
  http::Response answer = co_await http::ask(identity_, peer_, std::move(request));
  if (answer.status != 200)
    throw Error(errc::peer_refused, {"ask the node " + quoted(peer_.name) + " for", what, words_of(answer)});
  co_return std::move(answer.body);
}

asio::awaitable<std::string> Client::tell(std::string target, std::string body) const {
  return ask({http::Method::post, std::move(target), std::move(body), keys_deadline_});
}

asio::awaitable<std::string> Client::look(std::string target) const {
  return ask({http::Method::get, std::move(target), "", deadline_});
}

asio::awaitable<Hello> Client::hello() const {
  const std::string body = co_await look("/v1/hello");
  co_return parse_hello(body);
}

asio::awaitable<OfferAnswer> Client::offer(KekOffer offer) const {
  const std::string body = co_await tell("/v1/keks/offers", to_json(offer));
  co_return parse_offer_answer(body);
}

asio::awaitable<void> Client::deliver(KekDelivery delivery) const {
  (void)co_await tell("/v1/keks", to_json(delivery));
}

asio::awaitable<ProofAnswer> Client::prove(ProofRequest asked) const {
  const std::string body = co_await tell("/v1/keks/proofs", to_json(asked));
  co_return parse_proof_answer(body);
}

asio::awaitable<Sentences> Client::warnings() const {
  const std::string body = co_await look("/v1/keys/warnings");
  co_return parse_sentences(body);
}

asio::awaitable<void> Client::adopt(cluster::SignedMembership membership) const {
  (void)co_await tell("/v1/membership", cluster::to_json(membership));
}

asio::awaitable<cluster::MemberReadiness> Client::readiness(keys::Protection protection) const {
  const std::string body = co_await tell("/v1/readiness", to_json(ReadinessRequest{protection}));
  co_return parse_readiness(body);
}

asio::awaitable<RewrapAnswer> Client::rewrap(Generation to) const {
  const std::string body = co_await tell("/v1/rewraps", to_json(WorkRequest{to}));
  co_return parse_rewrap_answer(body);
}

asio::awaitable<RewrapAnswer> Client::rewrap_progress() const {
  const std::string body = co_await look("/v1/rewraps");
  co_return parse_rewrap_answer(body);
}

asio::awaitable<Census> Client::census() const {
  const std::string body = co_await look("/v1/census");
  co_return parse_census(body);
}

asio::awaitable<void> Client::retire(Generation generation) const {
  (void)co_await tell("/v1/retirements", to_json(WorkRequest{generation}));
}

asio::awaitable<void> Client::want(Generation generation) const {
  (void)co_await tell("/v1/keks/wanted", to_json(WorkRequest{generation}));
}

asio::awaitable<volumes::Holding> Client::holds(Uuid volume) const {
  http::TlsRequest question{http::Method::post, "/v1/volumes/held", to_json(VolumeQuestion{volume}), deadline_};
  const std::string body = co_await ask(std::move(question));
  co_return parse_volume_answer(body).holding;
}

asio::awaitable<void> Client::join(cluster::JoinRequest request) const {
  (void)co_await tell("/v1/joins", cluster::to_json(request));
}

asio::awaitable<void> bring_kek(keys::Keyring& ours, const Client& member, KekPassage passage) {
  const keys::KekRecord record = passage.record;
  const std::string number = std::to_string(record.generation);
  KekOffer offer{record};
  const OfferAnswer wanted = co_await member.offer(std::move(offer));
  if (!wanted.parcel_key.empty()) {
    const auto do_duplicate = [record, to = passage.to](keys::KekStore& store) {
      return store.duplicate_to(record, to);
    };
    KekDelivery delivery;
    delivery.transfer = co_await ours.with("duplicate KEK generation " + number, do_duplicate);
    if (delivery.transfer.inner_key.size() != 0)
      delivery.parcel =
          keys::seal_box(wanted.parcel_key, parcel_context(passage.from, record), delivery.transfer.inner_key);
    co_await member.deliver(std::move(delivery));
  }
  ProofRequest asked{record, fresh_nonce()};
  const auto do_prove = [asked](keys::KekStore& store) { return store.prove(asked.record, asked.nonce); };
  const Digest expected = co_await ours.with("prove KEK generation " + number, do_prove);
  const ProofAnswer proof = co_await member.prove(std::move(asked));
  if (proof.proof != expected)
    throw Error(errc::impostor_kek, {"count on the node " + quoted(member.name()) + " for", "KEK generation " + number,
                                     "Its proof is not that of this KEK."});
}

}  // namespace volcrypt::peer
