// See node_document.hpp.
#include "agent/keys/tpm/node_document.hpp"

#include <boost/json/serialize.hpp>

#include "dmtarget/strict_json.hpp"

namespace volcrypt::keys::tpm {

std::string to_json(const NodeDocument& document) {
  boost::json::object object;
  object["version"] = 1;
  object["storage_handle"] = document.storage_handle;
  object["storage_key"] = to_base64(document.identity.storage_key);
  object["attestation_key"] = to_base64(document.identity.attestation_key);
  object["endorsement_key"] = to_base64(document.identity.endorsement_key);
  object["maker"] = document.identity.maker;
  return boost::json::serialize(object);
}

NodeDocument parse_node_document(std::string_view json) {
  static const JsonDocument format{"this node's TPM keys", 16 * 1024, 2, errc::store_damaged};
  const boost::json::object object = parse_object(json, format);
  MemberReader members(object, format);
  if (members.number("version") != 1) {
    throw Error(errc::token_version,
                {"read", "this node's TPM keys", "Use the volcrypt release that wrote them, or a newer one."});
  }
  NodeDocument document;
  document.storage_handle = members.number32("storage_handle");
  document.identity.protection = Protection::tpm;
  document.identity.storage_key = members.base64("storage_key");
  document.identity.attestation_key = members.base64("attestation_key");
  document.identity.endorsement_key = members.base64("endorsement_key");
  document.identity.maker = std::string(members.text("maker"));
  members.finish();
  return document;
}

}  // namespace volcrypt::keys::tpm
