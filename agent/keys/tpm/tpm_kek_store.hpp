// TpmKekStore: the KekStore whose KEKs are born in this node's TPM and never leave TPMs. Between calls it keeps one
// connection with at most one loaded KEK and no session. The TPM may be absent when it is made: each call opens what it
// needs, and after a fault the next call starts afresh. Blocking and not thread-safe: the TPM's worker thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "agent/keys/kek_files.hpp"
#include "agent/keys/kek_store.hpp"
#include "agent/keys/tpm/tpm_facts.hpp"

namespace volcrypt::keys {

namespace tpm {
struct Duplicate;
struct NewParent;
}  // namespace tpm

struct TpmStoreOptions {
  std::string tcti = "device:/dev/tpmrm0";
  std::filesystem::path directory;          // of KekFiles
  std::chrono::milliseconds patience{0};    // the first opening waits as long for a TPM that appears late at boot
  std::uint32_t first_handle = 0x81015600;  // persistent handles that are tried from here on
  tpm::StorageAlgorithm algorithm = tpm::StorageAlgorithm::ecc_p256;
  std::optional<tpm::HmacRoute> route;  // empty: chosen by what the TPM has
  tpm::CommandObserver observe;         // empty: nobody listens
};

class TpmKekStore : public KekStore {
 public:
  explicit TpmKekStore(TpmStoreOptions options);  // opens no TPM
  ~TpmKekStore() override;

  Protection protection() const override { return Protection::tpm; }
  // errc::tpm_unsuitable when the TPM lacks a command or fails its self-test. After TPM2_Clear it makes new keys, for
  // admission anew.
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
  std::vector<std::string> warnings() override;  // one TPM command
  void lock() override;

  // For the checks of `enable cluster-encryption` and the warnings in the status. errc::tpm_absent.
  tpm::TpmFacts facts();

 private:
  struct Connection;

  Connection& connect();
  void disconnect() noexcept;
  template <class Call>
  auto run(Call call);
  void open_storage_key(Connection& connection);
  tpm::Duplicate duplicate(const StoredKek& stored, const Approvals& approvals, ByteView name,
                           const tpm::NewParent& to);
  std::vector<Secret> hmacs(const StoredKek& stored, const std::vector<Digest>& inputs);
  std::vector<Secret> group_hmacs(const StoredKek& stored, const std::vector<Uuid>& groups);

  TpmStoreOptions options_;
  KekFiles files_;
  std::unique_ptr<Connection> connection_;
  bool seen_ = false;   // a TPM answered once: from then on its absence is told at once
  bool dirty_ = false;  // a connection died: without a resource manager it left objects behind
};

}  // namespace volcrypt::keys
