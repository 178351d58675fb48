// See admission.hpp.
#include "agent/cluster/admission.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "agent/cluster/documents.hpp"
#include "agent/keys/messages.hpp"
#include "agent/keys/p256.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt::cluster {
namespace {

namespace json = boost::json;

constexpr std::size_t token_limit = 4096, question_limit = 40 * 1024, pending_limit = 256 * 1024;

const JsonDocument token_document{"the join token", token_limit, 2, errc::token_malformed};
const JsonDocument request_document{"the request to join", 2 * enrolled_limit, 2, errc::token_malformed};
const JsonDocument question_document{"the question to a node that wants to join", question_limit, 2,
                                     errc::token_malformed};
const JsonDocument record_document{"the record of a join token", token_limit, 2, errc::store_damaged};
const JsonDocument pending_document{"the record of a node that wants to join", pending_limit, 3, errc::store_damaged};

// Parts that have parsers of their own are carried as text.
template <class Part>
json::object object_of(const std::optional<Part>& tpm, const Part& software) {
  json::object object;
  object["tpm"] = tpm ? json::value(keys::to_json(*tpm)) : json::value("");
  object["software"] = keys::to_json(software);
  return object;
}

template <class Pair, class Parse>
Pair pair_of(MemberReader& members, Parse parse) {
  Pair pair;
  const std::string_view tpm = members.text("tpm"), software = members.text("software");
  if (!tpm.empty()) pair.tpm = documents::read(members, "tpm", [&] { return parse(tpm); });
  pair.software = documents::read(members, "software", [&] { return parse(software); });
  return pair;
}

template <class Pair, class Parse>
std::optional<Pair> optional_pair(MemberReader& members, std::string_view name, Parse parse) {
  if (!members.has(name)) return std::nullopt;
  MemberReader inner(members.object(name), pending_document);
  Pair pair = pair_of<Pair>(inner, parse);
  inner.finish();
  return pair;
}

std::string read_enrolled(MemberReader& members) {
  const std::string_view text = members.text("enrolled");
  if (text.size() > enrolled_limit) members.refuse("enrolled", "It is longer than 32 KiB.");
  return std::string(text);
}

}  // namespace

Secret to_text(const JoinToken& token) {
  json::object object = documents::begin();
  object["id"] = token.id.str();
  object["cluster"] = token.cluster.str();
  object["cluster_name"] = token.cluster_name;
  object["authority_public"] = to_base64(token.authority_public);
  object["member_key"] = to_base64(token.member_key);
  object["expires"] = std::to_string(token.expires);
  std::string key = to_base64(token.scalar.view());
  const std::string first = json::serialize(object) + "\n";
  Secret text(first.size() + key.size() + 1);
  std::ranges::copy(first, text.data());
  std::ranges::copy(key, text.data() + first.size());
  text.data()[text.size() - 1] = '\n';
  wipe({reinterpret_cast<std::uint8_t*>(key.data()), key.size()});
  return text;
}

JoinToken parse_join_token(ByteView text) {
  const std::string_view all(reinterpret_cast<const char*>(text.data()), text.size());
  const std::size_t end = std::min(all.find('\n'), all.size());
  const json::object object = parse_object(all.substr(0, end), token_document);
  MemberReader members(object, token_document);
  documents::check_version(members, token_document);
  JoinToken token;
  token.id = members.uuid("id");
  token.cluster = members.uuid("cluster");
  token.cluster_name = members.text("cluster_name");
  token.authority_public = members.base64("authority_public");
  token.member_key = members.base64("member_key", sizeof(Digest));
  token.expires = members.decimal_string("expires");
  members.finish();
  documents::read(members, "authority_public", [&] { return keys::p256_point_from_der(token.authority_public); });
  std::string_view line = end == all.size() ? "" : all.substr(end + 1);
  if (line.ends_with('\n')) line.remove_suffix(1);
  Bytes key = documents::read(members, "its second line", [&] { return from_base64(line); });
  if (key.size() != keys::p256_scalar_size) members.refuse("its second line", "It is not a key of 32 bytes.");
  token.scalar = Secret::take(key);
  documents::read(members, "its second line", [&] { return keys::p256_point(token.scalar); });
  return token;
}

std::string to_json(const TokenRecord& record) {
  json::object object = documents::begin();
  object["point"] = to_base64(record.point);
  object["expires"] = std::to_string(record.expires);
  return json::serialize(object);
}

TokenRecord parse_token_record(std::string_view text) {
  const json::object object = parse_object(text, record_document);
  MemberReader members(object, record_document);
  documents::check_version(members, record_document);
  TokenRecord record;
  record.point = members.base64("point", keys::p256_point_size);
  record.expires = members.decimal_string("expires");
  members.finish();
  return record;
}

std::string to_json(const JoinRequest& request) {
  json::object object = documents::begin();
  object["token"] = request.token.str();
  object["node"] = request.node.str();
  object["enrolled"] = request.enrolled;
  object["signature"] = to_base64(request.signature);
  return json::serialize(object);
}

JoinRequest parse_join_request(std::string_view text) {
  const json::object object = parse_object(text, request_document);
  MemberReader members(object, request_document);
  documents::check_version(members, request_document);
  JoinRequest request;
  request.token = members.uuid("token");
  request.node = members.uuid("node");
  request.enrolled = read_enrolled(members);
  request.signature = members.base64("signature");
  members.finish();
  if (request.node.is_nil()) members.refuse("node", "It must not be the nil UUID.");
  return request;
}

std::string to_json(const AdmissionQuestion& question) {
  return json::serialize(object_of(question.tpm, question.software));
}

AdmissionQuestion parse_admission_question(std::string_view text) {
  const json::object object = parse_object(text, question_document);
  MemberReader members(object, question_document);
  auto question = pair_of<AdmissionQuestion>(members, keys::parse_join_challenge);
  members.finish();
  return question;
}

std::string to_json(const PendingNode& node) {
  json::object object = documents::begin();
  object["node"] = node.node.str();
  object["enrolled"] = node.enrolled;
  object["tls_fingerprint"] = to_base64(node.tls_fingerprint);
  if (node.question) object["question"] = object_of(node.question->tpm, node.question->software);
  if (node.answer) object["answer"] = object_of(node.answer->tpm, node.answer->software);
  return json::serialize(object);
}

PendingNode parse_pending_node(std::string_view text) {
  const json::object object = parse_object(text, pending_document);
  MemberReader members(object, pending_document);
  documents::check_version(members, pending_document);
  PendingNode node;
  node.node = members.uuid("node");
  node.enrolled = read_enrolled(members);
  node.tls_fingerprint = members.base64("tls_fingerprint", sizeof(Digest));
  node.question = optional_pair<AdmissionQuestion>(members, "question", keys::parse_join_challenge);
  node.answer = optional_pair<AdmissionAnswer>(members, "answer", keys::parse_join_answer);
  members.finish();
  return node;
}

Bytes signing_input(const Uuid& cluster, const Uuid& node, ByteView tls_fingerprint, std::string_view enrolled) {
  return Canonical("volcrypt join request v1").add(cluster).add(node).add(tls_fingerprint).add(enrolled).bytes();
}

Digest request_digest(const Uuid& cluster, const Uuid& node, ByteView tls_fingerprint, std::string_view enrolled) {
  return sha256(signing_input(cluster, node, tls_fingerprint, enrolled));
}

}  // namespace volcrypt::cluster
