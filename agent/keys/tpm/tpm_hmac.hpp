// One HMAC-SHA256 under a loaded KEK, over a 32-byte digest, in an encrypted session: the result comes as a Secret and
// its copy in the library's answer is wiped (what the library keeps inside: scrub.hpp). The TPM's worker thread.
// Source: TPM 2.0 Part 3 sections 15.4 (HMAC), 17.2 and 17.5 (HMAC_Start, SequenceComplete); TPM facts sections 8
// and 9.
#pragma once

#include "agent/keys/tpm/capabilities.hpp"
#include "agent/keys/tpm/tpm_session.hpp"
#include "dmtarget/bytes.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::keys::tpm {

struct HmacRequest {
  HmacRoute route = HmacRoute::direct;
  ESYS_TR kek = ESYS_TR_NONE;
  Use use = Use::last;  // of the session
};

// A single flipped bit in the answer fails (the session's HMAC does not fit) instead of giving a wrong key.
Secret hmac(ESYS_CONTEXT* esys, SaltedSession& session, const HmacRequest& request, const Digest& input);

}  // namespace volcrypt::keys::tpm
