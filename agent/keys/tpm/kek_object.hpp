// The KEK as an object of the TPM: made, loaded from its blob, duplicated to a new parent. Each function opens the
// policy session that it needs and leaves no session behind. The TPM's worker thread. Source: TPM facts sections 2, 4
// and 5; TPM 2.0 Part 3 sections 12 (Create, Load) and 13 (Duplicate, Import).
#pragma once

#include "agent/keys/kek_store.hpp"
#include "agent/keys/tpm/attestation.hpp"
#include "agent/keys/tpm/tpm_object.hpp"

namespace volcrypt::keys::tpm {

struct KekBlob {
  Bytes public_area;   // TPMT_PUBLIC
  Bytes private_area;  // TPM2B_PRIVATE's content: encrypted to the storage key
};

struct NewKek {
  KekBlob blob;
  Creation creation;
};

// What every use of the storage key needs: it, and what the authority approved.
struct Parent {
  ESYS_TR key;  // opened and compared with its Name (storage_key.hpp)
  const Approvals& approvals;
};

// A fresh KEK, born in the TPM; `purpose` stands in its birth certificate. Throws errc::sealed_out.
NewKek create_kek(ESYS_CONTEXT* esys, const Parent& parent, const Digest& purpose);

// Loads the blob and compares the Name. errc::sealed_out, errc::tpm_cleared (the blob belongs to another TPM or was
// altered), errc::impostor_kek (another key than the one on record).
Transient load_kek(ESYS_CONTEXT* esys, const Parent& parent, const KekBlob& blob, ByteView name);

struct Duplicate {
  Bytes blob;        // TPM2B_PRIVATE's content: inner wrap inside outer wrap
  Bytes seed;        // of the outer wrap, encrypted to the new parent
  Secret inner_key;  // 32 or 16 bytes, AES in CFB mode
};
// The same on its way, from whoever sent it: nothing about it is known.
struct ArrivedDuplicate {
  ByteView blob, seed;
  const Secret& inner_key;
};
inline ArrivedDuplicate arrived(const Duplicate& made) { return {made.blob, made.seed, made.inner_key}; }
struct NewParent {
  ByteView public_area;
  std::uint64_t trust_epoch;  // of the KEK
  ByteView approval;          // for that epoch
};
// Towards a parent that the authority approved for the KEK's epoch; both ends of the inner key's way are encrypted.
Duplicate duplicate_kek(ESYS_CONTEXT* esys, const Parent& parent, ESYS_TR kek, const NewParent& to);

// What the new parent's TPM does with it; gives the blob to store. errc::sealed_out; errc::wrong_key when the duplicate
// was made for another TPM or is not as it was made, the public area included.
KekBlob import_kek(ESYS_CONTEXT* esys, const Parent& parent, ByteView public_area, const ArrivedDuplicate& from);

}  // namespace volcrypt::keys::tpm
