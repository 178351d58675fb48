// Opening a KEK without any TPM or agent: recovery key + recovery blob -> the HMAC key -> group keys. Used by
// `recovery verify`, `recovery open` and, later, adoption of drives. Software only (OpenSSL). Any thread.
// Source: TPM 2.0 Part 1, "Protected Storage" (outer and inner wrap); TPM facts section 6.
#pragma once

#include "agent/keys/authority.hpp"
#include "agent/keys/kek_store.hpp"

namespace volcrypt::keys {

class RecoveredKek {
 public:
  // Proves itself: the Name is computed again from the opened key and must equal blob.name (errc::wrong_key).
  static RecoveredKek open(const RecoveryBlob& blob, const AdminKey& recovery_key, const Uuid& cluster);
  Generation generation() const noexcept { return generation_; }
  Secret group_key(const Uuid& cluster, const Uuid& group) const;

 private:
  RecoveredKek(Generation generation, Secret key);
  Generation generation_;
  Secret key_;
};

// The bundle that leaves the cluster as a file: cluster UUID and every retained blob, as JSON; nothing secret in clear.
struct RecoveryBundle {
  Uuid cluster;
  std::vector<RecoveryBlob> blobs;
};
std::string to_json(const RecoveryBundle& bundle);
RecoveryBundle parse_recovery_bundle(std::string_view json);  // strict; at most 1 MiB, 1024 blobs

}  // namespace volcrypt::keys
