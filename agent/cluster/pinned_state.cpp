// See pinned_state.hpp.
#include "agent/cluster/pinned_state.hpp"

#include <boost/json/serialize.hpp>

#include "agent/cluster/documents.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt::cluster {

namespace json = boost::json;

namespace {

const JsonDocument pin_document{"this node's pin of the cluster", pinned_state_limit, 4, errc::store_damaged};

}  // namespace

std::string to_json(const PinnedState& pinned) {
  auto object = documents::begin();
  object["cluster"] = pinned.pin.cluster.str();
  object["authority_public"] = to_base64(pinned.pin.authority_public);
  object["newest_seen"] = std::to_string(pinned.pin.newest_seen);
  object["highest_used"] = std::to_string(pinned.highest_used);
  object["document"] = pinned.newest.document;
  object["signature"] = to_base64(pinned.newest.signature);
  return json::serialize(object);
}

PinnedState parse_pinned_state(std::string_view text) {
  const auto object = parse_object(text, pin_document);
  MemberReader members(object, pin_document);
  documents::check_version(members, pin_document);
  PinnedState pinned;
  pinned.pin.cluster = members.uuid("cluster");
  pinned.pin.authority_public = members.base64("authority_public");
  pinned.pin.newest_seen = members.decimal_string("newest_seen");
  pinned.highest_used = members.decimal_string("highest_used");
  pinned.newest.document = members.text("document");
  pinned.newest.signature = members.base64("signature");
  members.finish();
  return pinned;
}

}  // namespace volcrypt::cluster
