// Nodes of one cluster in one process: each with a KekStore, a server of port 4007 on loopback and a loop on a thread
// of its own, and one list of records in the place of the cluster's store. For tests of what peers do with each other.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "agent/http/tls_server.hpp"
#include "agent/keys/authority.hpp"
#include "agent/peer/api.hpp"
#include "agent/peer/client.hpp"
#include "agent/peer/remote_member.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/fake_member.hpp"
#include "tests/support/kek_conformance.hpp"
#include "tests/support/memory_store.hpp"
#include "tests/support/tls_node.hpp"

namespace volcrypt::test {

class PeerCluster;

// What came of a coroutine on another thread, as plain values: the thread sanitizer does not know how the C++ library
// counts the users of an exception object.
template <class T>
struct Outcome {
  std::optional<T> value;
  std::optional<boost::system::error_code> cause;
  ErrorContext context;
};
template <class T>
asio::awaitable<Outcome<T>> outcome_of(asio::awaitable<T> task) {
  Outcome<T> outcome;
  try {
    outcome.value.emplace(co_await std::move(task));
  } catch (const Error& error) {
    outcome.cause = error.code();
    outcome.context = {error.operation(), error.object(), error.way_out()};
  }
  co_return outcome;
}
inline asio::awaitable<bool> as_value(asio::awaitable<void> task) {
  co_await std::move(task);
  co_return true;
}

class PeerNode {
 public:
  PeerNode(PeerCluster& cluster, const tests::KekNodeMaker& maker, std::size_t number);
  ~PeerNode();
  PeerNode(const PeerNode&) = delete;
  PeerNode& operator=(const PeerNode&) = delete;

  // Runs a coroutine on this node's loop, to its end.
  template <class T>
  T run(asio::awaitable<T> task) {
    Outcome<T> outcome = asio::co_spawn(loop_, outcome_of(std::move(task)), asio::use_future).get();
    if (outcome.cause) throw Error(*outcome.cause, outcome.context);
    return std::move(*outcome.value);
  }
  void run(asio::awaitable<void> task) { run(as_value(std::move(task))); }
  template <class Call>
  auto with_keys(Call call) {
    return run(keyring().with("a test's call", std::move(call)));
  }
  keys::Keyring& keyring() { return keys_.of(protection_); }
  const cluster::MemberEntry& entry() const noexcept { return entry_; }
  void know(peer::CurrentRoster roster);
  peer::CurrentRoster roster() const;
  peer::Client client_of(const PeerNode& other) const;
  std::unique_ptr<peer::RemoteMember> remote(const PeerNode& other);  // as this node's coordinator has it
  // Runs a call on this node's loop, where its member's memory and its view of the store are touched alone.
  struct AtHome {
    FakeNode& work;  // what its member remembers
    FakeMember& member;
    cluster::EncryptionState& stored;           // what the cluster's store says
    std::map<Uuid, volumes::Holding>& holding;  // what it says of a volume; of another it cannot tell
  };
  template <class Call>
  auto at_home(Call call) {
    return asio::post(loop_, asio::use_future([&] { return call(AtHome{work_, member_, stored_, holding_}); })).get();
  }
  void stop();  // the server and the loop; keys stay

 private:
  PeerCluster& cluster_;
  std::unique_ptr<tests::KekNode> node_;
  keys::Protection protection_;
  TlsSecret secret_ = new_tls_secret();
  cluster::MemberEntry entry_;
  asio::io_context loop_{1};
  keys::NodeKeys keys_;
  mutable std::mutex mutex_;
  peer::CurrentRoster roster_;
  MemoryStore store_;
  FakeNode work_;
  FakeMember member_{work_, store_, nullptr};
  cluster::EncryptionState stored_;
  std::map<Uuid, volumes::Holding> holding_;
  peer::KekReceiver receiver_;
  peer::Duties duties_;
  peer::Api api_;
  std::unique_ptr<http::TlsServer> server_;
  std::thread thread_;
};

class PeerCluster {
 public:
  PeerCluster(const tests::KekNodeMaker& maker, std::size_t nodes);

  PeerNode& operator[](std::size_t number) { return *nodes_.at(number); }
  keys::KekRecord create(std::size_t node, keys::Generation generation);  // and records it
  void record(const keys::KekRecord& record);
  std::optional<keys::KekRecord> record_of(keys::Generation generation) const;
  void bring(std::size_t from, std::size_t to, const keys::KekRecord& record);
  void remove(std::size_t node);  // from the roster of all
  bool same_group_key(std::size_t left, std::size_t right, keys::Generation generation);

  const Uuid id = Uuid::random();
  const keys::AdminKey authority = keys::AdminKey::generate(keys::AdminKey::Purpose::authority, id);
  const keys::AdminKey recovery = keys::AdminKey::generate(keys::AdminKey::Purpose::recovery, id);

 private:
  void tell_roster();

  std::vector<std::unique_ptr<PeerNode>> nodes_;
  cluster::Membership membership_;
  mutable std::mutex mutex_;
  std::map<keys::Generation, keys::KekRecord> records_;
};

// Adds the suite "peers_NAME" to the program's test tree: what members do for each other, whatever holds their keys.
struct PeerConformance {
  PeerConformance(const std::string& name, tests::KekNodeMaker maker);
};

}  // namespace volcrypt::test
