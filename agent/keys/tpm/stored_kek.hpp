// A KEK as KekFiles keep it, in the TPM: what its record must look like, and its load. The TPM's worker thread; what
// takes no ESYS_CONTEXT needs no TPM.
#pragma once

#include <string>

#include "agent/keys/documents.hpp"
#include "agent/keys/tpm/kek_object.hpp"

namespace volcrypt::keys::tpm {

// As errors name it.
inline std::string generation_text(Generation generation) { return "KEK generation " + std::to_string(generation); }

// What a KEK's birth certificate says it was made for.
Digest birth_purpose(const Uuid& cluster, Generation generation, std::uint64_t trust_epoch);

// errc::impostor_kek unless the public area is of our one form, under the policy of this cluster's authority and of the
// record's trust epoch.
void require_form(const KekRecord& record, const Approvals& approvals);

// Loads it and compares its Name with `name`. errc::impostor_kek also for a blob that fails its integrity under the
// very storage key that it was made for: no sign of a cleared TPM, its file holds another KEK's blob or an altered one.
Transient load_stored(ESYS_CONTEXT* esys, const Parent& parent, const StoredKek& stored, ByteView name);

}  // namespace volcrypt::keys::tpm
