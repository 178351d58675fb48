// See self_test.hpp. The throw-away KEK has the shape of a real one; only its policy is simpler: PolicyCommandCode of
// TPM2_Duplicate, since there is no authority yet that could sign.
#include "agent/keys/tpm/self_test.hpp"

#include "agent/keys/tpm/storage_key.hpp"
#include "agent/keys/tpm/tpm_bytes.hpp"
#include "agent/keys/tpm/tpm_hmac.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys::tpm {
namespace {

constexpr auto duplicate_command = static_cast<TpmCommand>(TPM2_CC_Duplicate);

struct Trial {
  ESYS_CONTEXT* esys;
  HmacRoute route;
  TPM2B_PUBLIC parent_public{};
  Transient parent{};

  // A storage parent without policy: as ours else, but usable without the authority.
  void make_parent(StorageAlgorithm algorithm) {
    TPM2B_PUBLIC wanted = storage_template(algorithm, policy_start);
    wanted.publicArea.authPolicy.size = 0;
    wanted.publicArea.objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
    const TPM2B_SENSITIVE_CREATE no_auth{};
    const TPM2B_DATA no_info{};
    const TPML_PCR_SELECTION no_pcrs{};
    ESYS_TR handle = ESYS_TR_NONE;
    TPM2B_PUBLIC* raw_area = nullptr;
    TPM2B_CREATION_DATA* raw_data = nullptr;
    TPM2B_DIGEST* raw_hash = nullptr;
    TPMT_TK_CREATION* raw_ticket = nullptr;
    check(Esys_CreatePrimary(esys, ESYS_TR_RH_NULL, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, &wanted,
                             &no_info, &no_pcrs, &handle, &raw_area, &raw_data, &raw_hash, &raw_ticket),
          "TPM2_CreatePrimary", "a test key");
    parent = Transient(esys, handle);
    const Returned<TPM2B_PUBLIC> area(raw_area);
    const Returned<TPM2B_CREATION_DATA> data(raw_data);
    const Returned<TPM2B_DIGEST> hash(raw_hash);
    const Returned<TPMT_TK_CREATION> ticket(raw_ticket);
    parent_public = *area;
  }

  struct Made {
    Returned<TPM2B_PRIVATE> private_area;
    Returned<TPM2B_PUBLIC> public_area;
  };
  Made make_kek() const {
    TPM2B_PUBLIC wanted{};
    wanted.publicArea.type = TPM2_ALG_KEYEDHASH;
    wanted.publicArea.nameAlg = TPM2_ALG_SHA256;
    wanted.publicArea.objectAttributes = kek_attributes;
    wanted.publicArea.authPolicy = sized<TPM2B_DIGEST>(policy_command_code(policy_start, duplicate_command));
    wanted.publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_HMAC;
    wanted.publicArea.parameters.keyedHashDetail.scheme.details.hmac.hashAlg = TPM2_ALG_SHA256;
    const TPM2B_SENSITIVE_CREATE no_auth{};
    const TPM2B_DATA no_info{};
    const TPML_PCR_SELECTION no_pcrs{};
    TPM2B_PRIVATE* raw_private = nullptr;
    TPM2B_PUBLIC* raw_public = nullptr;
    TPM2B_CREATION_DATA* raw_data = nullptr;
    TPM2B_DIGEST* raw_hash = nullptr;
    TPMT_TK_CREATION* raw_ticket = nullptr;
    check(Esys_Create(esys, parent.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, &wanted, &no_info,
                      &no_pcrs, &raw_private, &raw_public, &raw_data, &raw_hash, &raw_ticket),
          "TPM2_Create", "a test KEK");
    const Returned<TPM2B_CREATION_DATA> data(raw_data);
    const Returned<TPM2B_DIGEST> hash(raw_hash);
    const Returned<TPMT_TK_CREATION> ticket(raw_ticket);
    return {Returned<TPM2B_PRIVATE>(raw_private), Returned<TPM2B_PUBLIC>(raw_public)};
  }

  Transient load(const TPM2B_PRIVATE& private_area, const TPM2B_PUBLIC& public_area) const {
    ESYS_TR handle = ESYS_TR_NONE;
    check(Esys_Load(esys, parent.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &private_area, &public_area,
                    &handle),
          "TPM2_Load", "a test KEK");
    return Transient(esys, handle);
  }

  Secret use(const Transient& kek) const {
    SaltedSession session(esys, parent.get());
    return hmac(esys, session, {route, kek.get(), Use::last}, sha256(as_bytes("volcrypt self-test")));
  }

  // To the parent's own public key, with an inner wrap that we chose, and back.
  Returned<TPM2B_PRIVATE> there_and_back(const Transient& kek, const TPM2B_PUBLIC& public_area) const {
    ESYS_TR handle = ESYS_TR_NONE;
    check(Esys_LoadExternal(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr, &parent_public, ESYS_TR_RH_NULL,
                            &handle),
          "TPM2_LoadExternal", "a storage parent's public key");
    Transient target(esys, handle);
    PolicySession policy(esys);
    check(Esys_PolicyCommandCode(esys, policy.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CC_Duplicate),
          "TPM2_PolicyCommandCode", "a test session");
    const auto inner = sized<TPM2B_DATA>(Bytes(16, 0x5A));  // no secret: the key is thrown away
    TPMT_SYM_DEF_OBJECT aes{};
    aes.algorithm = TPM2_ALG_AES;
    aes.keyBits.aes = 128;
    aes.mode.aes = TPM2_ALG_CFB;
    TPM2B_DATA* raw_key = nullptr;
    TPM2B_PRIVATE* raw_blob = nullptr;
    TPM2B_ENCRYPTED_SECRET* raw_seed = nullptr;
    check(Esys_Duplicate(esys, kek.get(), target.get(), policy.get(), ESYS_TR_NONE, ESYS_TR_NONE, &inner, &aes,
                         &raw_key, &raw_blob, &raw_seed),
          "TPM2_Duplicate", "a test KEK");
    policy.ended();
    target.end();
    const Returned<TPM2B_DATA> key(raw_key);
    const Returned<TPM2B_PRIVATE> blob(raw_blob);
    const Returned<TPM2B_ENCRYPTED_SECRET> seed(raw_seed);
    TPM2B_PRIVATE* raw_private = nullptr;
    check(Esys_Import(esys, parent.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &inner, &public_area,
                      blob.get(), seed.get(), &aes, &raw_private),
          "TPM2_Import", "a test KEK");
    return Returned<TPM2B_PRIVATE>(raw_private);
  }
};

// Not answered at all, or for a cause that passes.
bool says_nothing_of_the_chip(const Error& error) {
  if (error.code().category() != tss_category()) return false;
  const TSS2_RC code = bare(static_cast<TSS2_RC>(error.code().value()));
  return code == 0 || is_warning(code);
}

std::string way_out(StorageAlgorithm algorithm) {
  std::string others = "use another TPM, or software protection.";
  if (algorithm == StorageAlgorithm::rsa_2048) return others;
  return "set storage-key = rsa in volcryptd.conf and restart volcryptd (some chips fail at elliptic curves alone), " +
         others;
}

}  // namespace

void self_test(ESYS_CONTEXT* esys, const TpmFacts& facts, StorageAlgorithm algorithm) {
  try {
    Trial trial{esys, facts.hmac_route()};
    trial.make_parent(algorithm);
    const Trial::Made made = trial.make_kek();
    Transient kek = trial.load(*made.private_area, *made.public_area);
    const Secret before = trial.use(kek);
    const Returned<TPM2B_PRIVATE> imported = trial.there_and_back(kek, *made.public_area);
    kek.end();
    kek = trial.load(*imported, *made.public_area);
    if (!equals(before, trial.use(kek))) throw Error(errc::tpm_unsuitable, {"compare", "two HMACs under one key", ""});
  } catch (const Error& error) {
    if (error.code() == errc::tpm_absent || says_nothing_of_the_chip(error)) throw;
    throw Error(errc::tpm_unsuitable,
                {"use", "the TPM (" + facts.printed() + ")",
                 std::string("Its self-test failed (") + error.what() + "): " + way_out(algorithm)});
  }
}

}  // namespace volcrypt::keys::tpm
