// The names of the store's keys, and who writes each; nobody else forms one. Pure. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "agent/keys/kek_store.hpp"
#include "dmtarget/uuid.hpp"

namespace volcrypt::cluster::store_key {

// ClusterService. Whoever catalogues a volume puts Compare{encryption, revision read} into that transaction and does so
// *before* the header is written: then a census cannot miss a volume that was made under a generation about to go.
inline constexpr std::string_view encryption = "encryption";
inline constexpr std::string_view membership = "membership";
inline constexpr std::string_view recovery_verified = "recovery-verified";
inline constexpr std::string_view coordinator_lease = "coordinator";  // a lease's name
inline constexpr std::string_view move = "move";  // store_move.cpp: this store is a copy that is not in use yet

inline constexpr std::string_view generations = "generation/";
inline constexpr std::string_view recoveries = "recovery/";
inline constexpr std::string_view volumes = "volume/";
// agent/volumes: what a create or delete is about to do (intent.hpp).
inline constexpr std::string_view intents = "intent/";
inline constexpr std::string_view headers = "header/";
inline constexpr std::string_view tokens = "token/";
inline constexpr std::string_view pending_nodes = "pending/";
inline constexpr std::string_view leases = "lease/";  // the engine alone writes these

inline std::string generation(keys::Generation number) { return std::string(generations) + std::to_string(number); }
// The member that creates a KEK writes this before create_kek returns: a RecoveryBlob.
inline std::string recovery(keys::Generation number) { return std::string(recoveries) + std::to_string(number); }
// The volume's owner: a VolumeRecord, and the backup of its header in base64.
inline std::string volume(std::string_view name) { return std::string(volumes).append(name); }
inline std::string intent(std::string_view name) { return std::string(intents).append(name); }
inline std::string header(const Uuid& volume) { return std::string(headers) + volume.str(); }
// Of a node that wants to join, and of the token that lets it ask: see admission.hpp.
inline std::string token(const Uuid& id) { return std::string(tokens) + id.str(); }
inline std::string pending_node(const Uuid& node) { return std::string(pending_nodes) + node.str(); }
inline std::string lease(std::string_view name) { return std::string(leases).append(name); }

}  // namespace volcrypt::cluster::store_key
