// NodeRecord: the document of NodeFile, as text. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/keys/kek_store.hpp"

namespace volcrypt {

inline constexpr std::size_t node_record_limit = 16 * 1024;  // bytes

struct NodeRecord {
  keys::IdentityRequest identity;              // of the last enrolment
  std::optional<keys::Protection> protection;  // empty before `enable`
};

std::string to_json(const NodeRecord& record);
NodeRecord parse_node_record(std::string_view json);  // strict; errc::store_damaged, errc::token_version

}  // namespace volcrypt
