// LocalMember: this node as the coordinator sees it: KEKs through the chosen KekStore, volumes through VolumeService,
// recovery blobs in the store and beside it in files. Coroutines on the loop; all parts outlive it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "agent/cluster/local_pin.hpp"
#include "agent/cluster/member.hpp"
#include "agent/cluster/store.hpp"
#include "agent/keys/node_keys.hpp"
#include "agent/node_file.hpp"
#include "agent/proof_at_start.hpp"
#include "agent/secure_boot.hpp"
#include "agent/volumes/volume_service.hpp"

namespace volcrypt {

inline asio::awaitable<std::string> reachable_without_asking(cluster::MemberEntry) { co_return ""; }

class LocalMember final : public cluster::Member {
 public:
  struct Parts {
    cluster::Store& store;
    keys::NodeKeys& keys;
    cluster::LocalPin& pin;
    NodeFile& node_file;
    runtime::Worker& files;
    volumes::VolumeService& volumes;
    std::filesystem::path recovery_directory;
    std::filesystem::path firmware = efi_variables;
    // The newest document that this node has adopted, opened. And whether a member answers on port 4007: its failure as
    // a sentence, or empty.
    std::function<void(const cluster::Membership&)> adopted = [](const auto&) {};
    std::function<asio::awaitable<std::string>(cluster::MemberEntry)> unreachable = &reachable_without_asking;
  };

  LocalMember(Parts parts, std::string name) : parts_(std::move(parts)), name_(std::move(name)) {}

  const Uuid& id() const override;  // nil before enrolment
  const std::string& name() const override { return name_; }
  asio::awaitable<keys::BootReport> boot_report() override;
  asio::awaitable<cluster::SecureBoot> secure_boot() override;
  asio::awaitable<std::vector<std::string>> key_warnings() override;
  asio::awaitable<void> adopt_membership(const cluster::SignedMembership& membership) override;
  asio::awaitable<cluster::MemberReadiness> readiness(keys::Protection protection) override;
  asio::awaitable<keys::KekRecord> create_kek(cluster::Generation generation) override;
  asio::awaitable<void> prove_kek(const keys::KekRecord& record) override;
  asio::awaitable<cluster::RewrapProgress> rewrap_volumes(cluster::Generation to) override;
  asio::awaitable<cluster::RewrapProgress> rewrap_progress() override;
  asio::awaitable<std::set<cluster::Generation>> census() override;
  asio::awaitable<void> retire_kek(cluster::Generation generation) override;

  asio::awaitable<void> follow_choice();  // the protection that the store says, for the keyrings and the node's file
  asio::awaitable<ProofAtStart::Outcome> prove_kept_keys() { return proof_.run(); }

  // After this node was away: destroys the KEKs that the cluster let go while it was no member. errc::wrong_state while
  // one is needed by a volume here.
  asio::awaitable<void> destroy_stray_keks();

  // Every retained blob: from the store, or from the files when it does not answer.
  asio::awaitable<std::vector<keys::RecoveryBlob>> recovery_blobs();

 private:
  asio::awaitable<void> adopt(keys::Protection protection, keys::Approvals approvals);
  std::filesystem::path recovery_file(cluster::Generation generation) const;

  Parts parts_;
  std::string name_;
  using Generations = std::set<cluster::Generation>;
  const std::shared_ptr<Generations> in_the_making_ = std::make_shared<Generations>();  // outlives who makes one
  ProofAtStart proof_{parts_.store, parts_.keys};
  bool may_have_strays_ = true;  // since a document was adopted, or the start
};

}  // namespace volcrypt
