// See tpm_session.hpp.
#include "agent/keys/tpm/tpm_session.hpp"

#include <array>
#include <string>

#include "agent/keys/tpm/tss_error.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys::tpm {
namespace {

// Which of a command's first parameters are sized buffers (TPM 2.0 Part 3), hence can be encrypted.
struct Encryptable {
  TPM2_CC command;
  TPMA_SESSION flags;
};
constexpr TPMA_SESSION both = TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT;
constexpr std::array allowed = {
    Encryptable{TPM2_CC_HMAC, both},                        // buffer; outHMAC
    Encryptable{TPM2_CC_HMAC_Start, TPMA_SESSION_DECRYPT},  // auth; the answer is a handle
    Encryptable{TPM2_CC_SequenceComplete, both},            // buffer; result
    Encryptable{TPM2_CC_Create, both},                      // inSensitive; outPrivate
    Encryptable{TPM2_CC_Duplicate, both},                   // encryptionKeyIn; encryptionKeyOut
    Encryptable{TPM2_CC_Import, both},                      // encryptionKey; outPrivate
};

Transient start(ESYS_CONTEXT* esys, ESYS_TR salt_key, TPM2_SE kind, const TPMT_SYM_DEF& symmetric) {
  ESYS_TR session = ESYS_TR_NONE;
  check(Esys_StartAuthSession(esys, salt_key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr, kind,
                              &symmetric, TPM2_ALG_SHA256, &session),
        "TPM2_StartAuthSession", "the TPM");
  return Transient(esys, session);
}

}  // namespace

SaltedSession::SaltedSession(ESYS_CONTEXT* esys, ESYS_TR salt_key) : esys_(esys) {
  if (salt_key == ESYS_TR_NONE)
    throw Error(errc::invalid_argument, {"start", "an encrypted session without a salt key", ""});
  TPMT_SYM_DEF symmetric{};
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = 128;
  symmetric.mode.aes = TPM2_ALG_CFB;
  session_ = start(esys, salt_key, TPM2_SE_HMAC, symmetric);
}

ESYS_TR SaltedSession::for_command(TPM2_CC command, Use use) {
  for (const Encryptable& entry : allowed) {
    if (entry.command != command) continue;
    const TPMA_SESSION go_on = use == Use::more ? TPMA_SESSION_CONTINUESESSION : 0;
    check(Esys_TRSess_SetAttributes(esys_, session_.get(), entry.flags | go_on, both | TPMA_SESSION_CONTINUESESSION),
          "the session set-up", "the encrypted session");
    return session_.get();
  }
  throw Error(errc::invalid_argument,
              {"encrypt", "TPM command " + std::to_string(command), "It has no parameter that a session can encrypt."});
}

PolicySession::PolicySession(ESYS_CONTEXT* esys) {
  TPMT_SYM_DEF none{};
  none.algorithm = TPM2_ALG_NULL;
  session_ = start(esys, ESYS_TR_NONE, TPM2_SE_POLICY, none);
  check(Esys_TRSess_SetAttributes(esys, session_.get(), 0, 0xFF), "the session set-up", "the policy session");
}

}  // namespace volcrypt::keys::tpm
