// See messages.hpp.
#include "agent/peer/messages.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "agent/keys/messages.hpp"
#include "agent/keys/p256.hpp"
#include "agent/peer/message_form.hpp"

namespace volcrypt::peer {
namespace {

namespace json = boost::json;

constexpr std::size_t longest_version = 64;  // characters

JsonDocument document(const char* what) { return {what, keys::message_limit, 4, errc::token_malformed}; }
const JsonDocument hello_document = document("a node's hello"), offer_document = document("the offer of a KEK"),
                   offer_answer_document = document("the answer to an offer"),
                   delivery_document = document("a KEK that was sent"),
                   proof_request_document = document("the question for a KEK's proof"),
                   proof_document = document("the proof of a KEK");

Digest digest_of(MemberReader& members, const char* name) {
  Digest digest{};
  std::ranges::copy(members.base64(name, digest.size()), digest.begin());
  return digest;
}

}  // namespace

std::string to_json(const Hello& hello) {
  json::object object = keys::begin_document("volcrypt hello");
  object["software"] = hello.version;
  object["cluster"] = hello.cluster.str();
  object["node"] = hello.node.str();
  object["membership_version"] = std::to_string(hello.membership_version);
  return json::serialize(object);
}

Hello parse_hello(std::string_view text) {
  return parse_message<Hello>(text, hello_document, "volcrypt hello", [](MemberReader& members, Hello& hello) {
    hello.version = members.text("software");
    if (hello.version.size() > longest_version) members.refuse("software", "It has more than 64 characters.");
    hello.cluster = members.uuid("cluster");
    hello.node = members.uuid("node");
    hello.membership_version = members.decimal_string("membership_version");
  });
}

std::string to_json(const KekOffer& offer) {
  json::object object = keys::begin_document("volcrypt kek offer");
  object["record"] = keys::object_of(offer.record);
  return json::serialize(object);
}

KekOffer parse_kek_offer(std::string_view text) {
  return parse_message<KekOffer>(text, offer_document, "volcrypt kek offer",
                                 [](MemberReader& members, KekOffer& offer) {
                                   offer.record = keys::kek_record_of(members.object("record"), offer_document);
                                 });
}

std::string to_json(const OfferAnswer& answer) {
  json::object object = keys::begin_document("volcrypt kek offer answer");
  object["parcel_key"] = to_base64(answer.parcel_key);
  return json::serialize(object);
}

OfferAnswer parse_offer_answer(std::string_view text) {
  const auto read = [](MemberReader& members, OfferAnswer& answer) {
    answer.parcel_key = members.base64("parcel_key");
    if (!answer.parcel_key.empty() && answer.parcel_key.size() != keys::p256_point_size)
      members.refuse("parcel_key", "It must be empty or of 65 bytes.");
  };
  return parse_message<OfferAnswer>(text, offer_answer_document, "volcrypt kek offer answer", read);
}

std::string to_json(const KekDelivery& delivery) {
  json::object object = keys::begin_document("volcrypt kek delivery");
  object["transfer"] = keys::object_of(delivery.transfer);
  object["parcel"] = to_base64(delivery.parcel);
  return json::serialize(object);
}

KekDelivery parse_kek_delivery(std::string_view text) {
  const auto read = [](MemberReader& members, KekDelivery& delivery) {
    delivery.transfer = keys::kek_transfer_of(members.object("transfer"), delivery_document);
    delivery.parcel = members.base64("parcel");
  };
  return parse_message<KekDelivery>(text, delivery_document, "volcrypt kek delivery", read);
}

std::string to_json(const ProofRequest& request) {
  json::object object = keys::begin_document("volcrypt kek proof request");
  object["record"] = keys::object_of(request.record);
  object["nonce"] = to_base64(request.nonce);
  return json::serialize(object);
}

ProofRequest parse_proof_request(std::string_view text) {
  const auto read = [](MemberReader& members, ProofRequest& request) {
    request.record = keys::kek_record_of(members.object("record"), proof_request_document);
    request.nonce = digest_of(members, "nonce");
  };
  return parse_message<ProofRequest>(text, proof_request_document, "volcrypt kek proof request", read);
}

std::string to_json(const ProofAnswer& answer) {
  json::object object = keys::begin_document("volcrypt kek proof");
  object["proof"] = to_base64(answer.proof);
  return json::serialize(object);
}

ProofAnswer parse_proof_answer(std::string_view text) {
  return parse_message<ProofAnswer>(
      text, proof_document, "volcrypt kek proof",
      [](MemberReader& members, ProofAnswer& answer) { answer.proof = digest_of(members, "proof"); });
}

}  // namespace volcrypt::peer
