// What an operator asks and is told about the place of the store (/v1/store). Values; nothing secret.
#pragma once

#include <optional>

#include "agent/cluster/etcd_address.hpp"

namespace volcrypt::control {

enum class StoreUse {
  begin,  // before there is a cluster: it will be made there
  join,   // before this node is a member: of the cluster that is there
  move    // the cluster's state goes there
};

struct StoreRequest {
  cluster::EtcdAddress address;
  StoreUse use = StoreUse::begin;
};

struct StoreView {
  std::optional<cluster::EtcdAddress> etcd;  // empty: the embedded store
};

}  // namespace volcrypt::control
