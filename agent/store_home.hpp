// StoreHome: where this node's store is, and what an operator can do about that: choose an etcd before there is a
// cluster, move a cluster's store there, or name other servers of the same etcd. The choice is a file (StoreRecord)
// that is read at start: after a change the agent starts itself anew, so that nothing that was read from the old store
// is taken for the new one's. Coroutines on the loop.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "agent/cluster/gated_store.hpp"
#include "agent/cluster/local_pin.hpp"
#include "agent/cluster/store_record.hpp"
#include "agent/control/store_request.hpp"
#include "agent/runtime/worker.hpp"

namespace volcrypt {

namespace asio = boost::asio;

struct OpenedStore {
  cluster::StoreRecord record;
  std::unique_ptr<cluster::Store> store;
};

// Blocks: reads the record in `directory` and opens what it names. A store that cannot be opened is no reason not to
// run: what stands in for it throws the reason at every call.
OpenedStore open_store(const std::filesystem::path& directory);

class StoreHome {
 public:
  struct Parts {
    std::filesystem::path directory;  // of the record, and of the embedded store's file
    cluster::LocalPin& pin;
    runtime::Worker& files;
    std::function<void()> restart;  // called when the answer to the operator has had time to leave
  };

  StoreHome(Parts parts, OpenedStore opened)
      : parts_(std::move(parts)),
        record_(std::move(opened.record)),
        store_(std::make_unique<cluster::GatedStore>(std::move(opened.store))) {}

  cluster::Store& store() noexcept { return *store_; }
  control::StoreView view() const { return {record_.etcd}; }
  // False: it is there already. Throws Error: errc::wrong_state where the choice is not possible, with the way out; or
  // what the new store says. The old store stays the one in use then, unless the choice itself could not be written:
  // the agent starts anew in that case, too, and `view` tells which store it is.
  asio::awaitable<bool> choose(control::StoreRequest request);
  // After a start on a store that the cluster was moved to: the mark goes, and the embedded store's file, which holds
  // wrapped keys. Idempotent; does nothing on an embedded store.
  asio::awaitable<void> finish_move();

 private:
  asio::awaitable<void> prepare(const control::StoreRequest& request);
  asio::awaitable<void> find_cluster_in(cluster::Store& etcd);
  asio::awaitable<void> require_no_cluster();
  asio::awaitable<void> begin_in(cluster::Store& etcd);
  asio::awaitable<void> join_in(cluster::Store& etcd);
  asio::awaitable<void> move_to(cluster::Store& etcd);
  asio::awaitable<void> keep(cluster::StoreRecord record);

  Parts parts_;
  cluster::StoreRecord record_;
  std::unique_ptr<cluster::GatedStore> store_;
  bool choosing_ = false;  // until a failure that certainly changed nothing, or the next start
  bool finished_ = false;
};

}  // namespace volcrypt
