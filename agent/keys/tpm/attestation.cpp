// See attestation.hpp.
#include "agent/keys/tpm/attestation.hpp"

#include <tss2/tss2_mu.h>

#include <algorithm>

#include "agent/keys/authority.hpp"
#include "agent/keys/p256.hpp"
#include "agent/keys/tpm/tpm_bytes.hpp"
#include "agent/keys/tpm/tpm_context.hpp"
#include "agent/keys/tpm/tpm_session.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys::tpm {
namespace {

constexpr TPM2_HANDLE rsa_certificate = 0x01C00002;

// PolicySecret(TPM_RH_ENDORSEMENT), the policy of the default templates.
constexpr Digest endorsement_policy = {0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
                                       0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
                                       0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};

TPM2B_PUBLIC attestation_template() {
  TPM2B_PUBLIC area{};
  TPMT_PUBLIC& key = area.publicArea;
  key.type = TPM2_ALG_ECC;
  key.nameAlg = TPM2_ALG_SHA256;
  key.objectAttributes = attestation_key_attributes;
  key.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
  key.parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
  key.parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
  key.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
  key.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
  return area;
}

TPM2B_PUBLIC endorsement_template(TPM2_ALG_ID algorithm) {
  TPM2B_PUBLIC area{};
  TPMT_PUBLIC& key = area.publicArea;
  key.type = algorithm;
  key.nameAlg = TPM2_ALG_SHA256;
  key.objectAttributes = endorsement_key_attributes;
  key.authPolicy = sized<TPM2B_DIGEST>(endorsement_policy);
  TPMT_SYM_DEF_OBJECT aes{};
  aes.algorithm = TPM2_ALG_AES;
  aes.keyBits.aes = 128;
  aes.mode.aes = TPM2_ALG_CFB;
  if (algorithm == TPM2_ALG_RSA) {
    key.parameters.rsaDetail.symmetric = aes;
    key.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
    key.parameters.rsaDetail.keyBits = 2048;
    key.unique.rsa.size = 256;  // the templates fill the unique field with zeros
  } else {
    key.parameters.eccDetail.symmetric = aes;
    key.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
    key.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
    key.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
    key.unique.ecc.x.size = 32;
    key.unique.ecc.y.size = 32;
  }
  return area;
}

AttestationKey make_primary(ESYS_CONTEXT* esys, ESYS_TR hierarchy, const TPM2B_PUBLIC& wanted, std::string_view what) {
  const TPM2B_SENSITIVE_CREATE no_auth{};
  const TPM2B_DATA no_info{};
  const TPML_PCR_SELECTION no_pcrs{};
  ESYS_TR handle = ESYS_TR_NONE;
  TPM2B_PUBLIC* raw_area = nullptr;
  TPM2B_CREATION_DATA* raw_data = nullptr;
  TPM2B_DIGEST* raw_hash = nullptr;
  TPMT_TK_CREATION* raw_ticket = nullptr;
  check(Esys_CreatePrimary(esys, hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, &wanted, &no_info,
                           &no_pcrs, &handle, &raw_area, &raw_data, &raw_hash, &raw_ticket),
        "TPM2_CreatePrimary", what);
  AttestationKey key{Transient(esys, handle), {}};
  const Returned<TPM2B_PUBLIC> area(raw_area);
  const Returned<TPM2B_CREATION_DATA> data(raw_data);
  const Returned<TPM2B_DIGEST> hash(raw_hash);
  const Returned<TPMT_TK_CREATION> ticket(raw_ticket);
  key.public_area = public_area_of(*area);
  return key;
}

AttestationKey make_endorsement_primary(ESYS_CONTEXT* esys) {
  const auto indices = handles_of(esys, TPM2_NV_INDEX_FIRST);
  const bool rsa = std::find(indices.begin(), indices.end(), rsa_certificate) != indices.end();
  return make_primary(esys, ESYS_TR_RH_ENDORSEMENT, endorsement_template(rsa ? TPM2_ALG_RSA : TPM2_ALG_ECC),
                      "the endorsement key");
}

[[noreturn]] void refuse(const std::string& reason) {
  throw Error(errc::impostor_kek, {"accept", "a KEK's birth certificate", "It " + reason + "."});
}

}  // namespace

AttestationKey make_attestation_key(ESYS_CONTEXT* esys) {
  return make_primary(esys, ESYS_TR_RH_OWNER, attestation_template(), "the attestation key");
}

Bytes endorsement_public(ESYS_CONTEXT* esys) { return make_endorsement_primary(esys).public_area; }

Transient make_endorsement_key(ESYS_CONTEXT* esys) { return std::move(make_endorsement_primary(esys).object); }

Secret activate_credential(ESYS_CONTEXT* esys, const AttestationKey& attestation_key, ByteView blob, ByteView seed) {
  const Error for_another(errc::wrong_key, {"answer", "a question to a node that wants to join",
                                            "It was made for another node's keys: ask with this node's identity."});
  TPM2B_ID_OBJECT credential{};
  if (blob.size() > sizeof(credential.credential)) throw Error(for_another);
  credential.size = static_cast<UINT16>(blob.size());
  std::copy(blob.begin(), blob.end(), credential.credential);
  TPM2B_ENCRYPTED_SECRET encrypted{};
  if (seed.size() > sizeof(encrypted.secret)) throw Error(for_another);
  encrypted.size = static_cast<UINT16>(seed.size());
  std::copy(seed.begin(), seed.end(), encrypted.secret);

  const Transient endorsement = make_endorsement_key(esys);
  PolicySession policy(esys);
  check(Esys_PolicySecret(esys, ESYS_TR_RH_ENDORSEMENT, policy.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                          nullptr, nullptr, nullptr, 0, nullptr, nullptr),
        "TPM2_PolicySecret", "the endorsement key");
  TPM2B_DIGEST* raw = nullptr;
  const TSS2_RC code = Esys_ActivateCredential(esys, attestation_key.object.get(), endorsement.get(), ESYS_TR_PASSWORD,
                                               policy.get(), ESYS_TR_NONE, &credential, &encrypted, &raw);
  if (is_refused_parameter(code)) throw Error(for_another);
  check(code, "TPM2_ActivateCredential", "the attestation key");
  policy.ended();
  const Wiped<TPM2B_DIGEST> secret(raw);
  return Secret::copy_of({secret->buffer, secret->size});
}

Certified certify_key(ESYS_CONTEXT* esys, ESYS_TR key, const AttestationKey& attestation_key, const Digest& nonce) {
  const auto outside = sized<TPM2B_DATA>(nonce);
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = TPM2_ALG_NULL;  // the key's own
  TPM2B_ATTEST* raw_attest = nullptr;
  TPMT_SIGNATURE* raw_signature = nullptr;
  check(Esys_Certify(esys, key, attestation_key.object.get(), ESYS_TR_PASSWORD, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                     &outside, &scheme, &raw_attest, &raw_signature),
        "TPM2_Certify", "the storage key");
  const Returned<TPM2B_ATTEST> attest(raw_attest);
  const Returned<TPMT_SIGNATURE> signature(raw_signature);
  return {Bytes(attest->attestationData, attest->attestationData + attest->size), der_from_signature(*signature)};
}

Bytes certify_birth(ESYS_CONTEXT* esys, ESYS_TR kek, const AttestationKey& attestation_key, const Creation& creation) {
  const TPM2B_DATA no_nonce{};
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = TPM2_ALG_NULL;  // the key's own
  TPM2B_ATTEST* raw_attest = nullptr;
  TPMT_SIGNATURE* raw_signature = nullptr;
  check(
      Esys_CertifyCreation(esys, attestation_key.object.get(), kek, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                           &no_nonce, creation.hash.get(), &scheme, creation.ticket.get(), &raw_attest, &raw_signature),
      "TPM2_CertifyCreation", "the KEK");
  const Returned<TPM2B_ATTEST> attest(raw_attest);
  const Returned<TPMT_SIGNATURE> signature(raw_signature);

  Bytes birth(sizeof(TPM2B_ATTEST) + sizeof(TPM2B_CREATION_DATA) + sizeof(TPMT_SIGNATURE));
  std::size_t size = 0;
  check(Tss2_MU_TPM2B_ATTEST_Marshal(attest.get(), birth.data(), birth.size(), &size), "marshalling", "an attestation");
  check(Tss2_MU_TPM2B_CREATION_DATA_Marshal(creation.data.get(), birth.data(), birth.size(), &size), "marshalling",
        "creation data");
  check(Tss2_MU_TPMT_SIGNATURE_Marshal(signature.get(), birth.data(), birth.size(), &size), "marshalling",
        "a signature");
  birth.resize(size);
  return birth;
}

void check_birth(ByteView birth, ByteView kek_name, ByteView attestation_public, const Digest& purpose) {
  std::size_t offset = 0;
  TPM2B_ATTEST attest{};
  TPM2B_CREATION_DATA data{};
  TPMT_SIGNATURE signature{};
  if (Tss2_MU_TPM2B_ATTEST_Unmarshal(birth.data(), birth.size(), &offset, &attest) != TSS2_RC_SUCCESS)
    refuse("is malformed");
  const std::size_t data_at = offset;
  if (Tss2_MU_TPM2B_CREATION_DATA_Unmarshal(birth.data(), birth.size(), &offset, &data) != TSS2_RC_SUCCESS)
    refuse("is malformed");
  const std::size_t data_end = offset;
  if (((std::size_t{birth[data_at]} << 8) | birth[data_at + 1]) != data_end - data_at - 2) refuse("is malformed");
  if (Tss2_MU_TPMT_SIGNATURE_Unmarshal(birth.data(), birth.size(), &offset, &signature) != TSS2_RC_SUCCESS ||
      offset != birth.size()) {
    refuse("is malformed");
  }

  const TPM2B_PUBLIC signer = public_from(attestation_public);
  const TPMT_PUBLIC& key = signer.publicArea;
  if (key.type != TPM2_ALG_ECC || key.objectAttributes != attestation_key_attributes)
    refuse("is signed by a key that may sign anything");
  if (signature.sigAlg != TPM2_ALG_ECDSA || signature.signature.ecdsa.hash != TPM2_ALG_SHA256)
    refuse("has a signature of another kind");
  const ByteView attested(attest.attestationData, attest.size);
  if (!p256_verify(point_of(signer), attested, der_from_signature(signature)))
    refuse("is not signed by that attestation key");

  TPMS_ATTEST statement{};
  offset = 0;
  if (Tss2_MU_TPMS_ATTEST_Unmarshal(attest.attestationData, attest.size, &offset, &statement) != TSS2_RC_SUCCESS ||
      statement.magic != TPM2_GENERATED_VALUE || statement.type != TPM2_ST_ATTEST_CREATION) {
    refuse("is no statement of a creation");
  }
  const Bytes name = name_of(statement.attested.creation.objectName);
  if (!std::equal(name.begin(), name.end(), kek_name.begin(), kek_name.end())) refuse("speaks of another key");
  const Digest hash = sha256(birth.subspan(data_at + 2, data_end - data_at - 2));
  const Bytes attested_hash = content_of(statement.attested.creation.creationHash);
  if (!std::equal(hash.begin(), hash.end(), attested_hash.begin(), attested_hash.end()))
    refuse("carries other creation data");
  const Bytes outside = content_of(data.creationData.outsideInfo);
  if (!std::equal(purpose.begin(), purpose.end(), outside.begin(), outside.end()))
    refuse("was made for another cluster or generation");
}

}  // namespace volcrypt::keys::tpm
