// What the TPM store keeps on disk beside blobs and approvals: where its storage key is, and the public keys of this
// node. Nothing secret. Values; any thread.
#pragma once

#include <string>
#include <string_view>

#include "agent/keys/kek_store.hpp"

namespace volcrypt::keys::tpm {

inline constexpr std::string_view node_document_name = "tpm-node";

struct NodeDocument {
  std::uint32_t storage_handle = 0;  // persistent
  NodeIdentity identity;             // maker as it was when the keys were made
};

std::string to_json(const NodeDocument& document);
NodeDocument parse_node_document(std::string_view json);  // errc::store_damaged, errc::token_version

}  // namespace volcrypt::keys::tpm
