// Tries on a throw-away key, before a node carries data, everything that the design asks of a chip: some chips list a
// command and fail at it, or go into failure mode (TPM facts section 11). The TPM's worker thread.
#pragma once

#include <tss2/tss2_esys.h>

#include "agent/keys/tpm/tpm_facts.hpp"

namespace volcrypt::keys::tpm {

// Parent in the NULL hierarchy, KEK made, loaded, used, duplicated to the parent's own public key, imported, used again
// with the same result. Leaves nothing behind. errc::tpm_unsuitable naming the step and the TPM's answer.
void self_test(ESYS_CONTEXT* esys, const TpmFacts& facts, StorageAlgorithm algorithm);

}  // namespace volcrypt::keys::tpm
