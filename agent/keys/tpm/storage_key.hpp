// The node's storage key: the primary object under which KEKs live, persistent in the TPM, never leaving it, usable
// only under policies that name a command (Create, Load, Import) and that the authority signed. Also the salt key of
// every encrypted session, hence compared with the Name on record whenever it is opened. The TPM's worker thread.
// Source: TPM facts sections 2 and 8; TPM 2.0 Part 3 sections 24.1 (CreatePrimary) and 28.5 (EvictControl).
#pragma once

#include "agent/keys/tpm/tpm_facts.hpp"
#include "agent/keys/tpm/tpm_object.hpp"
#include "dmtarget/bytes.hpp"

namespace volcrypt::keys::tpm {

struct StorageKey {
  TPM2_HANDLE handle = 0;  // persistent
  Bytes public_area;       // TPMT_PUBLIC
};

// What TPM2_CreatePrimary is asked for.
TPM2B_PUBLIC storage_template(StorageAlgorithm algorithm, const Digest& policy);

// The primary of the owner hierarchy for this algorithm and policy. The TPM derives it: the same again gives the same
// key, until TPM2_Clear. One transient slot.
struct Primary {
  Transient object;
  Bytes public_area;
};
Primary make_storage_primary(ESYS_CONTEXT* esys, StorageAlgorithm algorithm, const Digest& policy);

// Makes the primary and keeps it at the first free handle from `first` on; one that is there already is recognised by
// its Name and used. Objects of others are never touched. errc::limit_exceeded when none of 256 handles is free.
StorageKey ensure_storage_key(ESYS_CONTEXT* esys, StorageAlgorithm algorithm, const Digest& policy, TPM2_HANDLE first);

// Opens the persistent key. An empty handle: none there, or another object. Throws for other failures only.
OpenHandle open_pinned(ESYS_CONTEXT* esys, const StorageKey& key);

// Brings a key back that was evicted but not cleared; the result has a new handle. errc::tpm_cleared when the TPM
// derives another key: it was cleared, or is another TPM.
StorageKey restore_storage_key(ESYS_CONTEXT* esys, const StorageKey& key, TPM2_HANDLE first);

// Makes room when the node is bound anew. No error when the key is gone; another object at its handle stays.
void evict_storage_key(ESYS_CONTEXT* esys, const StorageKey& key);

// The authPolicy of a storage key's TPMT_PUBLIC; errc::invalid_argument when it has none.
Digest policy_of(ByteView public_area);

// The Name that the TPM reported for a handle when it was opened.
Bytes reported_name(ESYS_CONTEXT* esys, ESYS_TR handle);

}  // namespace volcrypt::keys::tpm
