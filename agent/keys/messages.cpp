// See messages.hpp.
#include "agent/keys/messages.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "agent/keys/documents.hpp"

namespace volcrypt::keys {
namespace {

namespace json = boost::json;

const JsonDocument transfer_document{"the KEK that was sent", message_limit, 3, errc::token_malformed};
const JsonDocument challenge_document{"the question to a node that wants to join", message_limit, 2,
                                      errc::token_malformed};
const JsonDocument answer_document{"the answer of a node that wants to join", message_limit, 2, errc::token_malformed};

}  // namespace

json::object object_of(const KekTransfer& transfer) {
  json::object object = begin_document("volcrypt kek transfer");
  object["record"] = object_of(transfer.record);
  object["duplicate"] = to_base64(transfer.duplicate);
  object["seed"] = to_base64(transfer.seed);
  return object;
}

KekTransfer kek_transfer_of(const json::object& object, const JsonDocument& document) {
  MemberReader members(object, document);
  read_begin(members, "volcrypt kek transfer");
  KekTransfer transfer;
  transfer.record = kek_record_of(members.object("record"), document);
  transfer.duplicate = members.base64("duplicate");
  transfer.seed = members.base64("seed");
  members.finish();
  return transfer;
}

std::string to_json(const KekTransfer& transfer) { return json::serialize(object_of(transfer)); }

KekTransfer parse_kek_transfer(std::string_view text) {
  return kek_transfer_of(parse_object(text, transfer_document), transfer_document);
}

std::string to_json(const JoinChallenge& challenge) {
  json::object object = begin_document("volcrypt join challenge");
  object["nonce"] = to_base64(challenge.nonce);
  object["credential"] = to_base64(challenge.credential);
  object["credential_seed"] = to_base64(challenge.credential_seed);
  return json::serialize(object);
}

JoinChallenge parse_join_challenge(std::string_view text) {
  const json::object object = parse_object(text, challenge_document);
  MemberReader members(object, challenge_document);
  read_begin(members, "volcrypt join challenge");
  JoinChallenge challenge;
  const Bytes nonce = members.base64("nonce", challenge.nonce.size());
  std::ranges::copy(nonce, challenge.nonce.begin());
  challenge.credential = members.base64("credential");
  challenge.credential_seed = members.base64("credential_seed");
  members.finish();
  return challenge;
}

std::string to_json(const JoinAnswer& answer) {
  json::object object = begin_document("volcrypt join answer");
  object["mac"] = to_base64(answer.mac);
  object["statement"] = to_base64(answer.statement);
  object["signature"] = to_base64(answer.signature);
  return json::serialize(object);
}

JoinAnswer parse_join_answer(std::string_view text) {
  const json::object object = parse_object(text, answer_document);
  MemberReader members(object, answer_document);
  read_begin(members, "volcrypt join answer");
  JoinAnswer answer;
  const Bytes mac = members.base64("mac", answer.mac.size());
  std::ranges::copy(mac, answer.mac.begin());
  answer.statement = members.base64("statement");
  answer.signature = members.base64("signature");
  members.finish();
  return answer;
}

}  // namespace volcrypt::keys
