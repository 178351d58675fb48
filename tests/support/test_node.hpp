// TestNode: one node on plain files: software keys, SQLite store, VolumeService over FileDevices, the coordinator;
// cluster made, encryption enabled, without daemon or sockets. Its directory can be opened again by another TestNode:
// that is a restart.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "agent/cluster/cluster_service.hpp"
#include "agent/cluster/local_pin.hpp"
#include "agent/cluster/sqlite_store.hpp"
#include "agent/keys/node_keys.hpp"
#include "agent/local_member.hpp"
#include "agent/node_services.hpp"
#include "agent/store_home.hpp"
#include "agent/volumes/volume_service.hpp"
#include "tests/support/administrators.hpp"
#include "tests/support/await.hpp"
#include "tests/support/file_devices.hpp"

namespace volcrypt::test {

// The store, with a switch: broken, every call throws, as when it is unreachable. And with a place for tests to come in
// between: before each reading or commit, and after each commit; they may await, or throw what a store may.
class SwitchedStore final : public cluster::Store {
 public:
  using Interlude = std::function<boost::asio::awaitable<void>()>;
  explicit SwitchedStore(const std::string& file) : store_({file}) {}
  bool broken = false;
  Interlude before, after;

  boost::asio::awaitable<std::optional<cluster::Entry>> get(std::string key) override {
    if (before) co_await before();
    co_return co_await there().get(std::move(key));
  }
  boost::asio::awaitable<std::vector<cluster::Entry>> list(std::string prefix) override {
    if (before) co_await before();
    co_return co_await there().list(std::move(prefix));
  }
  boost::asio::awaitable<boost::system::result<cluster::Revision>> commit(cluster::Transaction transaction) override {
    if (before) co_await before();
    const auto done = co_await there().commit(std::move(transaction));
    if (after) co_await after();
    co_return done;
  }
  boost::asio::awaitable<cluster::Revision> changed(std::string prefix, cluster::Revision seen) override {
    return there().changed(std::move(prefix), seen);
  }
  boost::asio::awaitable<boost::system::result<cluster::Lease>> acquire(std::string name, std::string holder,
                                                                        std::chrono::seconds ttl) override {
    return there().acquire(std::move(name), std::move(holder), ttl);
  }
  boost::asio::awaitable<void> renew(const cluster::Lease& lease) override { return there().renew(lease); }
  boost::asio::awaitable<void> release(cluster::Lease lease) override { return there().release(std::move(lease)); }

 private:
  cluster::Store& there() {
    if (broken) throw Error(errc::timed_out, {"ask", "the store", ""});
    return store_;
  }
  cluster::SqliteStore store_;
};

class TestNode {
 public:
  // A node without a cluster makes one and enables it, or is left for the test to do so.
  enum class Without { make_one, leave };
  // Opens what is in `directory`. `longest_call`: of calls on devices, for tests in which some hang.
  TestNode(std::string directory, std::shared_ptr<FileDevices> devices, Without cluster = Without::make_one,
           std::chrono::milliseconds longest_call = std::chrono::hours(1));
  ~TestNode();

  template <class T>
  T await(boost::asio::awaitable<T> task) {
    return test::await(loop, std::move(task));
  }

  cluster::EncryptionState state();
  // What an operator does with `cluster init`, and then to enable encryption. Both may be repeated until they succeed.
  void become_cluster(const Administrators& administrators);
  void enable();
  // What the daemon does at its start: volumes, proofs, then what the coordinator left undone.
  void start();
  // Until the coordinator has nothing left to do. False: it cannot go on by itself, and says why in rotation().
  bool come_to_rest();
  // What the coordinator does, by hand: the tests decide where it stops.
  void make_current(cluster::Generation generation);  // create, prove, current; the old one previous
  void forget(cluster::Generation generation);        // no longer previous, and retired
  void break_store() { store.broken = true; }
  volumes::VolumeView create(const std::string& name, const std::string& device);

  boost::asio::io_context loop;
  std::string directory;
  std::shared_ptr<FileDevices> devices;
  runtime::Worker files{"files", 1};
  SwitchedStore store;
  keys::NodeKeys keys;
  cluster::LocalPin pin;
  NodeFile node_file;
  runtime::Worker worker{"devices", 4};
  volumes::VolumeService volumes;
  LocalMember member;
  cluster::ClusterService cluster;
  runtime::Metrics metrics;
  Scrape scrape{cluster, volumes, metrics};
  StoreHome store_home;  // of a place of its own: the node's store is `store`
  // Not reached by anybody: without a TLS key, which would be more files to fail and crash at.
  PeerPort port{{loop.get_executor(),
                 {},
                 "/nonexistent/volcrypt",
                 keys,
                 store,
                 [this] { return member.id(); },
                 member,
                 nullptr,
                 nullptr,
                 [this](Uuid volume) { return volumes.holds(volume); }}};
  Admission admission{{store, pin, keys, node_file, files, directory + "/join.json", port, [] { return true; }, [] {}}};
  NodeServices services{{cluster, member, pin, node_file, keys, volumes, scrape, metrics, store_home, admission,
                         [] { return control::Listening{}; }, [] {}}};

 private:
  void put(const std::string& key, std::string value);
  void make_kek(cluster::Generation generation);
  void put_state(const cluster::EncryptionState& state);
};

}  // namespace volcrypt::test
