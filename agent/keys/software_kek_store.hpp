// SoftwareKekStore: KEKs of a cluster without TPMs. Each KEK lies on disk in a box to the node key (P-256), and the
// node key in a file of mode 0600, if wanted under a passphrase or a systemd credential. It protects drives, not whole
// servers: who reads the server's disk and has the passphrase or credential has the KEKs. Thread: as KekStore.
#pragma once

#include <filesystem>
#include <optional>

#include "agent/keys/kek_files.hpp"
#include "agent/keys/kek_store.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::keys {

// What locks the node key, from $CREDENTIALS_DIRECTORY/volcrypt-node-key (systemd.exec(5), LoadCredentialEncrypted=);
// empty when there is no such credential. The bytes are taken as they are, a newline at the end included.
std::optional<Secret> node_key_credential();

class SoftwareKekStore final : public KekStore {
 public:
  // `node_key_lock` is a passphrase or the credential. An unlocked node key file is put under it at the next use; a
  // locked one without it makes that use throw errc::wrong_passphrase.
  explicit SoftwareKekStore(std::filesystem::path directory, std::optional<Secret> node_key_lock = std::nullopt);

  Protection protection() const override { return Protection::software; }
  NodeIdentity identity(const IdentityRequest& request) override;
  JoinProof answer(const JoinChallenge& challenge) override;
  void adopt(const Approvals& approvals) override;
  KekRecord create(Generation generation) override;
  RecoveryBlob duplicate_to_recovery(const KekRecord& record) override;
  KekTransfer duplicate_to(const KekRecord& record, const Peer& peer) override;
  void import(const KekTransfer& transfer, const std::vector<Bytes>& attestation_keys) override;
  Digest prove(const KekRecord& record, const Digest& nonce) override;
  std::vector<KekRecord> held() const override;
  std::vector<Generation> kept() const override { return files_.generations(); }
  std::vector<Secret> group_keys(Generation generation, const std::vector<Uuid>& groups) override;
  std::vector<Secret> proved_group_keys(const KekRecord& record, const std::vector<Uuid>& groups) override;
  void destroy(Generation generation) override;
  BootReport boot_report() override;
  std::vector<std::string> warnings() override { return {}; }  // the cluster's status says what software is
  void lock() override;

  const KekFiles& files() const noexcept { return files_; }

 private:
  struct Opened;
  const Secret& node_scalar();
  Opened open(Generation generation, const Approvals& approvals);
  static std::vector<Secret> group_hmacs(const Opened& opened, const Uuid& cluster, const std::vector<Uuid>& groups);

  KekFiles files_;
  std::optional<Secret> node_key_lock_;
  std::optional<Secret> node_scalar_;  // while in use; lock() drops it
};

// The Name of a software KEK, 34 bytes: 000b, then SHA256(canonical("volcrypt kek name v1", cluster, generation, key)).
Bytes software_kek_name(const Uuid& cluster, Generation generation, const Secret& key);

}  // namespace volcrypt::keys
