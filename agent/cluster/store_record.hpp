// StoreRecord: which engine holds this node's view of the cluster, as it is kept in a file beside the state and written
// by nobody but this node. Pure. Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/cluster/etcd_address.hpp"

namespace volcrypt::cluster {

inline constexpr std::size_t store_record_limit = 16 * 1024;  // bytes

struct StoreRecord {
  std::optional<EtcdAddress> etcd;  // empty: the embedded store
  bool operator==(const StoreRecord&) const = default;
};

// What a record must be, wherever it comes from: servers and prefix as etcd_address.hpp says, absolute paths, a
// certificate and its key both or neither. Throws Error(errc::invalid_argument).
void check(const EtcdAddress& address);

std::string to_json(const StoreRecord& record);
StoreRecord parse_store_record(std::string_view json);  // strict; errc::store_damaged, errc::token_version

}  // namespace volcrypt::cluster
