// See tpm_mischief.hpp.
#include "tests/support/tpm_mischief.hpp"

#include <cstring>
#include <stdexcept>

#include "agent/keys/tpm/tpm_bytes.hpp"
#include "agent/keys/tpm/tpm_context.hpp"
#include "agent/keys/tpm/tpm_object.hpp"
#include "agent/keys/tpm/tss_error.hpp"

namespace volcrypt::test {

using namespace volcrypt::keys::tpm;

namespace {

TPM2B_AUTH password(std::string_view text) { return sized<TPM2B_AUTH>(as_bytes(text)); }

// A sealed object under dictionary-attack protection, as others make them.
Transient guessable(ESYS_CONTEXT* esys) {
  TPM2B_SENSITIVE_CREATE sensitive{};
  sensitive.sensitive.userAuth = password("right");
  TPM2B_PUBLIC wanted{};
  TPMT_PUBLIC& key = wanted.publicArea;
  key.type = TPM2_ALG_ECC;
  key.nameAlg = TPM2_ALG_SHA256;
  key.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                         TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT;
  key.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
  key.parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
  key.parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
  key.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
  key.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
  const TPM2B_DATA no_info{};
  const TPML_PCR_SELECTION no_pcrs{};
  ESYS_TR handle = ESYS_TR_NONE;
  check(Esys_CreatePrimary(esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &wanted,
                           &no_info, &no_pcrs, &handle, nullptr, nullptr, nullptr, nullptr),
        "TPM2_CreatePrimary", "a test object");
  return Transient(esys, handle);
}

void set_password(const std::string& tcti, ESYS_TR hierarchy) {
  const TpmContext context(tcti);
  const TPM2B_AUTH secret = password("a password");
  check(Esys_HierarchyChangeAuth(context.esys(), hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &secret),
        "TPM2_HierarchyChangeAuth", "a hierarchy");
}

}  // namespace

void lock_out(const std::string& tcti) {
  const TpmContext context(tcti);
  const Transient key = guessable(context.esys());
  const TPM2B_AUTH wrong = password("wrong");
  check(Esys_TR_SetAuth(context.esys(), key.get(), &wrong), "the password", "a test object");
  TPM2B_DIGEST digest{};
  digest.size = 32;
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = TPM2_ALG_NULL;
  TPMT_TK_HASHCHECK ticket{};
  ticket.tag = TPM2_ST_HASHCHECK;
  ticket.hierarchy = TPM2_RH_NULL;
  for (int guess = 0; guess < 100; ++guess) {
    const TSS2_RC code = Esys_Sign(context.esys(), key.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &digest,
                                   &scheme, &ticket, nullptr);
    if (bare(code) == rc::lockout) return;
  }
  throw std::runtime_error("a hundred wrong passwords did not lock the TPM out");
}

void set_owner_password(const std::string& tcti) { set_password(tcti, ESYS_TR_RH_OWNER); }
void remove_owner_password(const std::string& tcti) {
  const TpmContext context(tcti);
  const TPM2B_AUTH secret = password("a password"), none{};
  check(Esys_TR_SetAuth(context.esys(), ESYS_TR_RH_OWNER, &secret), "the password", "a hierarchy");
  check(Esys_HierarchyChangeAuth(context.esys(), ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &none),
        "TPM2_HierarchyChangeAuth", "a hierarchy");
}
void set_lockout_password(const std::string& tcti) { set_password(tcti, ESYS_TR_RH_LOCKOUT); }

}  // namespace volcrypt::test
