// Asks a TPM what it is and can do: maker, firmware, authorisation state, and whether every command and algorithm that
// we use is there. Reading only. The TPM's worker thread. Source: TPM 2.0 Part 2 sections 6.13 (TPM_PT) and 8.6
// (TPMA_PERMANENT); TPM facts section 9 (optional commands).
#pragma once

#include <tss2/tss2_esys.h>

#include "agent/keys/tpm/tpm_facts.hpp"

namespace volcrypt::keys::tpm {

// Never throws for a TPM that lacks something: that stands in TpmFacts::missing.
TpmFacts read_facts(ESYS_CONTEXT* esys);

// The part of it that may change from one moment to the next. One command.
TpmAuthorisations read_authorisations(ESYS_CONTEXT* esys);

// True when the TPM can wrap with AES-256 inside a duplicate (else AES-128).
bool has_aes256(ESYS_CONTEXT* esys);

}  // namespace volcrypt::keys::tpm
