// See node_record.hpp.
#include "agent/node_record.hpp"

#include <boost/json/serialize.hpp>

#include "dmtarget/error.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt {

namespace {

const JsonDocument node_document{"the node's own record", node_record_limit, 2, errc::store_damaged};

}  // namespace

std::string to_json(const NodeRecord& record) {
  boost::json::object object;
  object["version"] = 1;
  object["authority"] = to_base64(record.identity.authority_public);
  object["cluster"] = record.identity.cluster.str();
  object["node"] = record.identity.node.str();
  object["protection"] = !record.protection ? "none" : *record.protection == keys::Protection::tpm ? "tpm" : "software";
  return boost::json::serialize(object);
}

NodeRecord parse_node_record(std::string_view json) {
  const boost::json::object object = parse_object(json, node_document);
  MemberReader members(object, node_document);
  if (members.number("version") != 1)
    throw Error(errc::token_version,
                {"read", node_document.what, "Use the volcrypt release that wrote it, or a newer one."});
  NodeRecord record;
  record.identity.authority_public = members.base64("authority");
  record.identity.cluster = members.uuid("cluster");
  record.identity.node = members.uuid("node");
  const std::string_view protection = members.text("protection");
  if (protection == "tpm") {
    record.protection = keys::Protection::tpm;
  } else if (protection == "software") {
    record.protection = keys::Protection::software;
  } else if (protection != "none") {
    members.refuse("protection", "It must be none, tpm or software.");
  }
  members.finish();
  return record;
}

}  // namespace volcrypt
