// PeerPort: port 4007 of this node: its TLS key, who its members are now, and the server behind which peer::Api
// answers. Loop thread; all parts outlive it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/cluster/members.hpp"
#include "agent/cluster/store.hpp"
#include "agent/http/tls_server.hpp"
#include "agent/keys/node_keys.hpp"
#include "agent/peer/address.hpp"
#include "agent/peer/api.hpp"
#include "agent/peer/duties.hpp"
#include "agent/volumes/other_nodes.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt {

namespace asio = boost::asio;

class PeerPort final : public volumes::OtherNodes {
 public:
  struct Parts {
    asio::any_io_executor executor;
    std::vector<peer::Address> addresses;  // where it listens, and what the others are told; none: it does not listen
    std::filesystem::path directory;       // of the TLS key
    keys::NodeKeys& keys;
    cluster::Store& store;
    std::function<Uuid()> node;  // this one; nil before it belongs to a cluster
    cluster::Member& self;
    // The cluster's choice of protection may be new: this node has its first KEK from another.
    std::function<asio::awaitable<void>()> took_over;
    std::function<asio::awaitable<void>(cluster::JoinRequest, http::Fingerprint)> wants_to_join;
    std::function<asio::awaitable<volumes::Holding>(Uuid)> holds;  // does this node hold that volume?
    std::function<void(const Uuid&)> heard_of = {};                // a member says hello: it is up (again)
  };

  // Blocks: opens or makes the TLS key. A key that cannot be had is no reason not to run: volumes attach without it.
  explicit PeerPort(Parts parts);

  // Of the TLS key, for the membership document. Throws what open_or_make_tls_key did, as everything below that needs
  // the key does.
  Bytes fingerprint() const;
  std::vector<std::string> addresses() const;  // for the same
  // Another node, for the coordinator.
  cluster::MemberPtr reach(const cluster::MemberEntry& member) const;
  // The newest document, opened; whoever is not in it is a stranger from now on.
  void know(cluster::Membership membership);
  // Binds; idempotent, and without addresses nothing. Throws Error with errno that names the address.
  void listen();
  void stop();
  // What the volumes ask of the others.
  std::string name_of(const Uuid& node) const override;
  asio::awaitable<volumes::MembersNow> members() override;
  asio::awaitable<volumes::Holding> ask(Uuid node, Uuid volume) override;
  // Asks a member who it is. Throws as peer::Client::hello, or errc::peer_refused when another node or cluster answers.
  asio::awaitable<peer::Hello> hello(cluster::MemberEntry member) const;
  // Says hello to every member: this node is up again, and whoever waits for it need not wait longer. One that does not
  // answer is passed over.
  asio::awaitable<void> greet();
  // At a newcomer: asks the member at `address` that proves `key`. Throws as peer::Client.
  asio::awaitable<void> ask_to_join(peer::Address address, http::Fingerprint key, cluster::JoinRequest request) const;
  // Has the current and previous generations that this node lacks brought by whichever member has them: it was admitted
  // now, was away, or lost its files. Idempotent. Throws, after it has asked all members for each, what the last said.
  asio::awaitable<void> fetch_missing_keks();
  // The same for the checks of `enable`: why it does not answer, as a sentence; empty when it does, or when no member
  // of the cluster has an address.
  asio::awaitable<std::string> unreachable(cluster::MemberEntry member) const;

 private:
  asio::awaitable<std::optional<keys::KekRecord>> record(keys::Generation generation);
  asio::awaitable<cluster::EncryptionState> state();
  asio::awaitable<void> bring(cluster::MemberEntry to, keys::Generation generation);
  asio::awaitable<void> fetch(keys::Generation generation);

  Parts parts_;
  std::set<keys::Generation> held_;  // seen to be here
  const http::TlsIdentity& identity() const;

  std::optional<Error> no_key_;  // why there is none
  std::optional<http::TlsIdentity> identity_;
  peer::CurrentRoster roster_;
  peer::KekReceiver receiver_;
  peer::Duties duties_;
  peer::Api api_;
  std::unique_ptr<http::TlsServer> server_;
};

}  // namespace volcrypt
