// What a TPM is and can do: maker, firmware, authorisation state, and whether every command and algorithm that we use
// is there. Reading only. The TPM's worker thread. Source: TPM 2.0 Part 2 sections 6.13 (TPM_PT) and 8.6
// (TPMA_PERMANENT); TPM facts section 9 (optional commands).
#pragma once

#include <tss2/tss2_esys.h>

#include <set>
#include <string>
#include <vector>

namespace volcrypt::keys::tpm {

enum class HmacRoute {
  direct,    // TPM2_HMAC: optional in the PC Client profile
  sequence,  // TPM2_HMAC_Start and TPM2_SequenceComplete: the same value for one block, one command more
};

struct TpmFacts {
  std::string maker;            // "IBM " and the like, four letters, blanks trimmed
  std::string model;            // vendor string, may be empty
  std::string firmware;         // "8217.4131.22.13878" as the TPM counts
  bool owner_auth_set = false;  // our keys cannot be made then
  bool lockout_auth_set =
      false;                // empty: anybody with access to the device can clear the TPM (a warning, not an error)
  bool in_lockout = false;  // harmless to our objects, all are noDA
  std::set<TPM2_CC> commands;
  std::vector<std::string> missing;  // what we need and do not find, by name; empty means suitable

  std::string printed() const;  // maker, model and firmware in one line
  // errc::tpm_unsuitable when neither route is there.
  HmacRoute hmac_route() const;
};

// Never throws for a TPM that lacks something: that stands in `missing`.
TpmFacts read_facts(ESYS_CONTEXT* esys);
// The names of what `commands` lacks; for TpmFacts::missing.
std::vector<std::string> missing_commands(const std::set<TPM2_CC>& commands);
// errc::tpm_unsuitable that names all that is missing.
void require_suitable(const TpmFacts& facts);

// True when the TPM can wrap with AES-256 inside a duplicate (else AES-128).
bool has_aes256(ESYS_CONTEXT* esys);

}  // namespace volcrypt::keys::tpm
