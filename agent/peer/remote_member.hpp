// RemoteMember: another node of the cluster as the coordinator sees it: each call is a question on port 4007. It stays
// the same object while the member's entry changes; what it is asked goes where the newest document says. Coroutines on
// the loop; all parts outlive it.
#pragma once

#include <functional>

#include "agent/cluster/member.hpp"
#include "agent/keys/node_keys.hpp"
#include "agent/peer/client.hpp"
#include "agent/peer/roster.hpp"

namespace volcrypt::peer {

class RemoteMember final : public cluster::Member {
 public:
  struct Parts {
    Uuid self;  // this node
    http::TlsIdentity identity;
    std::function<CurrentRoster()> roster;
    keys::NodeKeys& keys;  // of this node, from which a KEK is brought
  };

  RemoteMember(Parts parts, const cluster::MemberEntry& entry)
      : parts_(std::move(parts)), id_(entry.node), name_(entry.name) {}

  const Uuid& id() const override { return id_; }
  const std::string& name() const override { return name_; }
  // Each throws as peer::Client does; errc::wrong_state when the newest document has no such member any more.
  asio::awaitable<std::vector<std::string>> key_warnings() override;
  asio::awaitable<void> adopt_membership(const cluster::SignedMembership& membership) override;
  asio::awaitable<cluster::MemberReadiness> readiness(keys::Protection protection) override;
  asio::awaitable<void> prove_kek(const keys::KekRecord& record) override;  // brought there first when it is missing
  asio::awaitable<cluster::RewrapProgress> rewrap_volumes(cluster::Generation to) override;  // asks until it has ended
  asio::awaitable<cluster::RewrapProgress> rewrap_progress() override;
  asio::awaitable<std::set<cluster::Generation>> census() override;
  asio::awaitable<void> retire_kek(cluster::Generation generation) override;
  // A node asks them of itself alone. errc::wrong_state.
  asio::awaitable<keys::BootReport> boot_report() override;
  asio::awaitable<cluster::SecureBoot> secure_boot() override;
  asio::awaitable<keys::KekRecord> create_kek(cluster::Generation generation) override;

 private:
  const cluster::MemberEntry& entry_in(const Roster& roster) const;
  CurrentRoster roster() const;
  Client client() const;

  Parts parts_;
  Uuid id_;
  std::string name_;
};

}  // namespace volcrypt::peer
