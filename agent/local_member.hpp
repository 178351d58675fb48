// LocalMember: this node as the coordinator sees it: KEKs through the chosen KekStore, volumes through VolumeService,
// recovery blobs in the store and beside it in files. Coroutines on the loop; all parts outlive it.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "agent/cluster/local_pin.hpp"
#include "agent/cluster/member.hpp"
#include "agent/cluster/store.hpp"
#include "agent/keys/node_keys.hpp"
#include "agent/node_file.hpp"
#include "agent/secure_boot.hpp"
#include "agent/volumes/volume_service.hpp"

namespace volcrypt {

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

  // Proves the generations that volumes may need (current and previous), one call of the key store each, against the
  // cluster's record; those whose record the store has lost, and all that are held where it does not answer, against
  // the record beside the blob. What failed is logged, told by key_warnings(), and not used (KekStore::prove).
  struct KeyCheck {
    bool undecided = false;   // the TPM was absent, busy or sealed out: look again
    bool found_more = false;  // a generation failed that had not failed before
  };
  asio::awaitable<KeyCheck> prove_kept_keys();

  // Every retained blob: from the store, or from the files when it does not answer.
  asio::awaitable<std::vector<keys::RecoveryBlob>> recovery_blobs();

 private:
  struct NeededKeks {  // current and previous
    std::vector<keys::KekRecord> recorded;
    std::map<cluster::Generation, std::string> unrecorded;  // and why: the store has no record, or none that reads
  };
  asio::awaitable<NeededKeks> needed_keks();                  // by the store; throws when it does not answer
  asio::awaitable<std::vector<keys::KekRecord>> kept_keks();  // by this node's files; damaged ones as a number alone
  asio::awaitable<std::vector<keys::KekRecord>> keks_to_prove();
  asio::awaitable<bool> is_needed(cluster::Generation generation);
  asio::awaitable<void> prove(const keys::KekRecord& record);
  asio::awaitable<std::optional<Error>> failure_of_proof(const keys::KekRecord& record);
  asio::awaitable<bool> was_made_without_tpm();  // says the membership document
  asio::awaitable<void> follow_choice();  // the protection that the store says, for the keyrings and the node's file
  asio::awaitable<void> adopt(keys::Protection protection, keys::Approvals approvals);
  std::filesystem::path recovery_file(cluster::Generation generation) const;

  Parts parts_;
  std::string name_;
  std::map<cluster::Generation, std::string> unproved_;  // why each generation failed its last proof
};

}  // namespace volcrypt
