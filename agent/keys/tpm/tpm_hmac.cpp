// See tpm_hmac.hpp.
#include "agent/keys/tpm/tpm_hmac.hpp"

#include "agent/keys/tpm/tpm_bytes.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys::tpm {
namespace {

Secret taken(Wiped<TPM2B_DIGEST> digest) {
  if (!digest || digest->size != 32)
    throw Error(errc::tpm_unsuitable, {"make an HMAC in", "the TPM", "It answered another size."});
  return Secret::take({digest->buffer, digest->size});
}

Secret direct(ESYS_CONTEXT* esys, SaltedSession& session, const HmacRequest& request, const TPM2B_MAX_BUFFER& input) {
  TPM2B_DIGEST* raw = nullptr;
  const ESYS_TR authorisation = session.for_command(TPM2_CC_HMAC, request.use);
  check(Esys_HMAC(esys, request.kek, authorisation, ESYS_TR_NONE, ESYS_TR_NONE, &input, TPM2_ALG_SHA256, &raw),
        "TPM2_HMAC", "the KEK");
  return taken(Wiped<TPM2B_DIGEST>(raw));
}

// HMAC_Start carries nothing secret (an empty password for the sequence), so the encrypted session serves both commands
// as their authorisation; SequenceComplete encrypts input and result. Takes one transient slot beside the KEK's.
Secret sequence(ESYS_CONTEXT* esys, SaltedSession& session, const HmacRequest& request, const TPM2B_MAX_BUFFER& input) {
  const TPM2B_AUTH no_auth{};
  ESYS_TR handle = ESYS_TR_NONE;
  check(Esys_HMAC_Start(esys, request.kek, session.for_command(TPM2_CC_HMAC_Start, Use::more), ESYS_TR_NONE,
                        ESYS_TR_NONE, &no_auth, TPM2_ALG_SHA256, &handle),
        "TPM2_HMAC_Start", "the KEK");
  Transient started(esys, handle);
  TPM2B_DIGEST* raw = nullptr;
  TPMT_TK_HASHCHECK* raw_ticket = nullptr;
  check(Esys_SequenceComplete(esys, started.get(), session.for_command(TPM2_CC_SequenceComplete, request.use),
                              ESYS_TR_NONE, ESYS_TR_NONE, &input, ESYS_TR_RH_NULL, &raw, &raw_ticket),
        "TPM2_SequenceComplete", "the KEK");
  started.release();  // the TPM ended it with the answer
  const Returned<TPMT_TK_HASHCHECK> ticket(raw_ticket);
  return taken(Wiped<TPM2B_DIGEST>(raw));
}

}  // namespace

Secret hmac(ESYS_CONTEXT* esys, SaltedSession& session, const HmacRequest& request, const Digest& input) {
  const auto buffer = sized<TPM2B_MAX_BUFFER>(input);
  Secret result = request.route == HmacRoute::direct ? direct(esys, session, request, buffer)
                                                     : sequence(esys, session, request, buffer);
  if (request.use == Use::last) session.ended();
  return result;
}

}  // namespace volcrypt::keys::tpm
