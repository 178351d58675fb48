// JSON of what agent/keys puts into files: KEK records, approvals, and what a node is bound to. Strict, in one format
// version each; byte strings are base64, 64-bit numbers are strings. Nothing secret passes here. Values; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "agent/keys/kek_store.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt::keys {

// A KEK as one node holds it: what everybody knows of it, and the blob that only this node opens.
struct StoredKek {
  KekRecord record;
  Bytes blob;
  Bytes parent;  // TPM: Name of the storage key that the blob is encrypted to; software: empty
};

std::string_view spelling(Protection protection);
Protection read_protection(MemberReader& members, std::string_view name);

std::string to_json(const StoredKek& kek);
StoredKek parse_stored_kek(std::string_view json);  // errc::store_damaged, errc::token_version

std::string to_json(const Approvals& approvals);
Approvals parse_approvals(std::string_view json);

std::string to_json(const IdentityRequest& binding);
IdentityRequest parse_binding(std::string_view json);

// Format and version, with which each document begins. In another version everything else may be different:
// errc::token_version.
boost::json::object begin_document(std::string_view format);
void read_begin(MemberReader& members, std::string_view format);

// For documents that contain these: the same members, as an object inside another.
boost::json::object object_of(const KekRecord& record);
KekRecord kek_record_of(const boost::json::object& object, const JsonDocument& document);
boost::json::object object_of(const Approvals& approvals);
// Reads, and does not judge: check_approvals() is in authority.hpp.
Approvals approvals_of(const boost::json::object& object, const JsonDocument& document);

}  // namespace volcrypt::keys
