// JSON of identities, boot reports and signed membership.
#include "agent/control/documents.hpp"

#include <boost/json/array.hpp>

#include "agent/cluster/store_record.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::control {

namespace {

json::object render(const keys::NodeIdentity& identity) {
  return {{"protection", to_text(identity.protection)},
          {"storageKey", to_base64(identity.storage_key)},
          {"attestationKey", to_base64(identity.attestation_key)},
          {"endorsementKey", to_base64(identity.endorsement_key)},
          {"maker", identity.maker}};
}

keys::NodeIdentity parse_identity(http::JsonObject body) {
  keys::NodeIdentity identity;
  identity.protection = parse_protection(body.string("protection"));
  identity.storage_key = body.base64("storageKey");
  identity.attestation_key = body.base64("attestationKey");
  identity.endorsement_key = body.base64("endorsementKey");
  identity.maker = body.string("maker");
  body.finish();
  return identity;
}

std::uint32_t parse_pcr(std::uint64_t number) {
  if (number > 23) throw Error(errc::invalid_argument, {"read", "a PCR number", "PCRs are numbered from 0 to 23."});
  return static_cast<std::uint32_t>(number);
}

std::string to_text(StoreUse use) { return use == StoreUse::begin ? "begin" : use == StoreUse::join ? "join" : "move"; }

StoreUse parse_store_use(const std::string& text) {
  for (const StoreUse use : {StoreUse::begin, StoreUse::join, StoreUse::move})
    if (to_text(use) == text) return use;
  throw Error(errc::invalid_argument, {"read", "the use of a store", R"(It is one of "begin", "join" and "move".)"});
}

}  // namespace

std::string to_text(keys::Protection protection) { return protection == keys::Protection::tpm ? "tpm" : "software"; }

keys::Protection parse_protection(const std::string& text) {
  if (text == "tpm") return keys::Protection::tpm;
  if (text == "software") return keys::Protection::software;
  throw Error(errc::invalid_argument, {"read", "the protection", "It is either \"tpm\" or \"software\"."});
}

json::object render(const EnrolRequest& request) {
  return {{"authorityPublic", to_base64(request.identity.authority_public)},
          {"cluster", request.identity.cluster.str()},
          {"node", request.identity.node.str()},
          {"withoutTpm", request.tpm == TpmUse::left_out}};
}

EnrolRequest parse_enrol_request(http::JsonObject body) {
  EnrolRequest request;
  request.identity.authority_public = body.base64("authorityPublic");
  request.identity.cluster = body.uuid("cluster");
  request.identity.node = body.uuid("node");
  request.tpm = body.flag("withoutTpm", false) ? TpmUse::left_out : TpmUse::required;
  body.finish();
  return request;
}

json::object render(const keys::BootReport& report) {
  json::array pcrs, values;
  for (const auto pcr : report.pcrs) pcrs.emplace_back(pcr);
  for (const auto& [pcr, value] : report.values) {
    values.emplace_back(json::object{{"pcr", pcr}, {"value", to_hex(value)}});
  }
  return {{"pcrs", std::move(pcrs)},
          {"values", std::move(values)},
          {"digestNow", to_hex(report.digest_now)},
          {"approvedNow", report.approved_now}};
}

keys::BootReport parse_boot_report(http::JsonObject body) {
  keys::BootReport report;
  const auto& pcrs = body.any("pcrs");
  if (!pcrs.is_array()) throw Error(errc::invalid_argument, {"read", "a boot report", "\"pcrs\" is not an array."});
  for (const auto& pcr : pcrs.get_array()) {
    boost::system::error_code failed;
    const auto number = pcr.to_number<std::uint32_t>(failed);
    if (failed) throw Error(errc::invalid_argument, {"read", "a boot report", "\"pcrs\" holds what is no number."});
    report.pcrs.push_back(parse_pcr(number));
  }
  for (auto& value : body.objects("values")) {
    const auto pcr = parse_pcr(value.number("pcr"));
    report.values.emplace_back(pcr, from_hex(value.string("value")));
    value.finish();
  }
  report.digest_now = from_hex(body.string("digestNow"));
  report.approved_now = body.flag("approvedNow");
  body.finish();
  return report;
}

json::object render(const EnrolledNode& node) {
  json::array addresses;
  for (const std::string& address : node.addresses) addresses.emplace_back(address);
  return {{"node", node.node.str()},
          {"name", node.name},
          {"tpm", node.tpm ? json::value(render(*node.tpm)) : json::value(nullptr)},
          {"software", render(node.software)},
          {"boot", render(node.boot)},
          {"tlsFingerprint", to_base64(node.tls_fingerprint)},
          {"addresses", std::move(addresses)}};
}

EnrolledNode parse_enrolled_node(http::JsonObject body) {
  EnrolledNode node;
  node.node = Uuid::parse(body.string("node"));
  node.name = body.string("name");
  if (auto tpm = body.optional_object("tpm")) node.tpm = parse_identity(std::move(*tpm));
  node.software = parse_identity(body.object("software"));
  node.boot = parse_boot_report(body.object("boot"));
  node.tls_fingerprint = body.base64("tlsFingerprint");
  node.addresses = body.strings("addresses");
  body.finish();
  return node;
}

json::object render(const StoreRequest& request) {
  return {{"servers", cluster::to_text(request.address.servers)},
          {"prefix", request.address.prefix},
          {"authority", request.address.files.authority.native()},
          {"certificate", request.address.files.certificate.native()},
          {"key", request.address.files.key.native()},
          {"use", to_text(request.use)}};
}

StoreRequest parse_store_request(http::JsonObject body) {
  StoreRequest request;
  request.address.servers = cluster::parse_etcd_servers(body.string("servers"));
  request.address.prefix = body.string("prefix");
  request.address.files.authority = body.string("authority");
  request.address.files.certificate = body.string("certificate");
  request.address.files.key = body.string("key");
  request.use = parse_store_use(body.string("use"));
  body.finish();
  cluster::check(request.address);
  return request;
}

json::object render(const StoreView& view, const std::string& failure) {
  json::object object{{"engine", view.etcd ? "etcd" : "embedded"},
                      {"servers", nullptr},
                      {"prefix", nullptr},
                      {"failure", failure.empty() ? json::value(nullptr) : json::value(failure)}};
  if (!view.etcd) return object;
  json::array servers;
  for (const http::HttpsServer& server : view.etcd->servers) servers.emplace_back("https://" + http::to_text(server));
  object["servers"] = std::move(servers);
  object["prefix"] = view.etcd->prefix;
  return object;
}

json::object render(const TokenRequest& request) {
  return {{"id", request.id.str()}, {"point", to_base64(request.point)}, {"lifeSeconds", request.life}};
}

TokenRequest parse_token_request(http::JsonObject body) {
  TokenRequest request;
  request.id = Uuid::parse(body.string("id"));
  request.point = body.base64("point");
  request.life = body.number("lifeSeconds");
  body.finish();
  return request;
}

json::object render(const TokenPlace& place) {
  json::array addresses;
  for (const std::string& address : place.addresses) addresses.emplace_back(address);
  return {{"cluster", place.cluster.str()},
          {"clusterName", place.cluster_name},
          {"authorityPublic", to_base64(place.authority_public)},
          {"memberKey", to_base64(place.member_key)},
          {"expires", place.expires},
          {"addresses", std::move(addresses)}};
}

TokenPlace parse_token_place(http::JsonObject body) {
  TokenPlace place;
  place.cluster = Uuid::parse(body.string("cluster"));
  place.cluster_name = body.string("clusterName");
  place.authority_public = body.base64("authorityPublic");
  place.member_key = body.base64("memberKey");
  place.expires = body.number("expires");
  place.addresses = body.strings("addresses");
  body.finish();
  return place;
}

json::object render(const JoinOrder& order) {
  return {{"address", order.address},
          {"memberKey", to_base64(order.member_key)},
          {"cluster", order.cluster.str()},
          {"request", cluster::to_json(order.request)}};
}

JoinOrder parse_join_order(http::JsonObject body) {
  JoinOrder order;
  order.address = body.string("address");
  order.member_key = body.base64("memberKey");
  order.cluster = Uuid::parse(body.string("cluster"));
  order.request = cluster::parse_join_request(body.string("request"));
  body.finish();
  return order;
}

json::object render(const cluster::PendingNode& node) {
  json::object object{
      {"id", node.node.str()},           {"name", nullptr},
      {"addresses", json::array()},      {"tpm", nullptr},
      {"endorsementKey", nullptr},       {"state", node.answer ? "answered" : node.question ? "asked" : "waiting"},
      {"record", cluster::to_json(node)}};
  try {
    const EnrolledNode said = parse_enrolled_node(http::JsonObject(node.enrolled, "what the node says of itself"));
    object["name"] = said.name;
    for (const std::string& address : said.addresses) object["addresses"].get_array().emplace_back(address);
    if (said.tpm) {
      object["tpm"] = said.tpm->maker;
      object["endorsementKey"] = to_hex(sha256(said.tpm->endorsement_key));
    }
  } catch (const Error&) {  // it cannot be admitted, but rejected
  }
  return object;
}

json::object render(const cluster::SignedMembership& membership) {
  // The document is carried as text: the signature covers its exact bytes.
  return {{"document", membership.document}, {"signature", to_base64(membership.signature)}};
}

cluster::SignedMembership parse_signed_membership(http::JsonObject body) {
  cluster::SignedMembership membership;
  membership.document = body.string("document");
  membership.signature = body.base64("signature");
  body.finish();
  return membership;
}

}  // namespace volcrypt::control
