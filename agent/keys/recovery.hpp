// Opening a KEK without any TPM or agent: recovery key + recovery blob -> the HMAC key -> group keys. Used by
// `recovery verify`, `recovery open` and, later, adoption of drives. Software only (OpenSSL). Any thread.
// Source: TPM 2.0 Part 1, "Protected Storage" (outer and inner wrap); TPM facts section 6.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/keys/authority.hpp"
#include "agent/keys/kek_store.hpp"

namespace volcrypt::keys {

class RecoveredKek {
 public:
  // Proves itself: the Name is computed again from the opened key and must equal blob.name (errc::wrong_key).
  // errc::wrong_key also when the recovery key is another one or the blob was changed; errc::wrong_cluster.
  static RecoveredKek open(const RecoveryBlob& blob, const AdminKey& recovery_key, const Uuid& cluster);
  Generation generation() const noexcept { return generation_; }
  Secret group_key(const Uuid& cluster, const Uuid& group) const;

 private:
  RecoveredKek(Generation generation, Secret key);
  Generation generation_;
  Secret key_;
};

// What a KekStore puts into a RecoveryBlob. The TPM's inner wrapper key goes to the recovery key in a box, bound to the
// KEK by its Name; a software KEK is boxed itself.
Bytes seal_inner_key(ByteView recovery_point, const Uuid& cluster, Generation generation, ByteView kek_name,
                     const Secret& inner_key);
RecoveryBlob seal_software_kek(ByteView recovery_point, const Uuid& cluster, const KekRecord& record,
                               const Secret& kek);

// The bundle that leaves the cluster as a file: cluster UUID and every retained blob, as JSON; nothing secret in clear.
struct RecoveryBundle {
  Uuid cluster;
  std::vector<RecoveryBlob> blobs;
};
std::string to_json(const RecoveryBundle& bundle);
RecoveryBundle parse_recovery_bundle(std::string_view json);  // strict; at most 1 MiB, 1024 blobs

}  // namespace volcrypt::keys
