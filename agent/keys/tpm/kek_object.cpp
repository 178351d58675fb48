// See kek_object.hpp.
#include "agent/keys/tpm/kek_object.hpp"

#include "agent/keys/tpm/boot_state.hpp"
#include "agent/keys/tpm/capabilities.hpp"
#include "agent/keys/tpm/policies.hpp"
#include "agent/keys/tpm/scrub.hpp"
#include "agent/keys/tpm/storage_key.hpp"
#include "agent/keys/tpm/tpm_bytes.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys::tpm {
namespace {

TPM2B_PUBLIC kek_template(const Approvals& approvals) {
  TPM2B_PUBLIC area{};
  TPMT_PUBLIC& key = area.publicArea;
  key.type = TPM2_ALG_KEYEDHASH;
  key.nameAlg = TPM2_ALG_SHA256;
  key.objectAttributes = kek_attributes;
  key.authPolicy = sized<TPM2B_DIGEST>(
      kek_policy(authority_name(approvals.authority_public), approvals.cluster, approvals.trust_epoch));
  key.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_HMAC;
  key.parameters.keyedHashDetail.scheme.details.hmac.hashAlg = TPM2_ALG_SHA256;
  return area;
}

// The TPM's refusals of Create, Load and Import that have a cause of ours.
void check_use(ESYS_CONTEXT* esys, const Parent& parent, TSS2_RC code, std::string_view command) {
  if (bare(code) == rc::policy_fail || bare(code) == rc::pcr_changed) {
    const BootReport now = read_boot_state(esys, parent.approvals.pcrs);
    if (matching_state(parent.approvals, now) == nullptr) throw_sealed_out(now);
  }
  if (bare(code) == rc::integrity) {
    throw Error(errc::tpm_cleared,
                {"load", "the stored KEK",
                 "It was made for another TPM, the TPM was cleared, or the file was altered: open the volumes "
                 "with the recovery key (`volcryptctl recovery open --device DEVICE --bundle FILE --recovery-file "
                 "FILE`), then make a new cluster."});
  }
  check(code, command, "the KEK");
}

// The seed of an RSA parent that is another's: libtpms says failure mode (0x101) and is not in it.
bool works(ESYS_CONTEXT* esys) {
  TPM2B_MAX_BUFFER* raw_data = nullptr;
  TPM2_RC result = TPM2_RC_FAILURE;
  const TSS2_RC code = Esys_GetTestResult(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &raw_data, &result);
  const Returned<TPM2B_MAX_BUFFER> data(raw_data);
  return code == TSS2_RC_SUCCESS && result == TPM2_RC_SUCCESS;
}

TPMT_SYM_DEF_OBJECT inner_wrap(std::size_t key_bytes) {
  TPMT_SYM_DEF_OBJECT symmetric{};
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = static_cast<UINT16>(key_bytes * 8);
  symmetric.mode.aes = TPM2_ALG_CFB;
  return symmetric;
}

[[noreturn]] void refuse_arrival() {
  throw Error(errc::wrong_key, {"take over", "a KEK that another node sent",
                                "It was made for another node's storage key, or altered on its way: let it be sent "
                                "again."});
}

// Import's refusals that lie in what arrived. Sealed out is no such one: the policy speaks before parameters are read.
void check_arrival(ESYS_CONTEXT* esys, TSS2_RC code) {
  if (is_refused_parameter(code) || (bare(code) == rc::failure_mode && works(esys))) refuse_arrival();
}

// Import's parameters. What is longer than any of its kind never reaches the TPM.
struct Arrival {
  explicit Arrival(const ArrivedDuplicate& from) try
      : blob(sized<TPM2B_PRIVATE>(from.blob)),
        seed(seed_from(from.seed)),
        symmetric(inner_wrap(from.inner_key.size())),
        inner(sized<TPM2B_DATA>(from.inner_key.view())) {
  } catch (const Error& error) {
    if (error.code() != errc::invalid_argument) throw;
    refuse_arrival();
  }
  ~Arrival() { wipe({reinterpret_cast<std::uint8_t*>(&inner), sizeof(inner)}); }
  Arrival(const Arrival&) = delete;
  Arrival& operator=(const Arrival&) = delete;

  TPM2B_PRIVATE blob;
  TPM2B_ENCRYPTED_SECRET seed;
  TPMT_SYM_DEF_OBJECT symmetric;
  TPM2B_DATA inner;  // secret, and last: nothing that is refused comes after it
};

struct PolicyUse {
  TpmCommand command;
  std::string_view name;
};

// Runs `call` with a policy session for the storage key. TPM_RC_PCR_CHANGED says that some PCR was extended since
// PolicyPCR, perhaps one that is not bound (measured boot, IMA): the session is of no use any more, a new one tells.
template <class Call>
void with_policy(ESYS_CONTEXT* esys, const Parent& parent, const PolicyUse& use, Call call) {
  constexpr int attempts = 5;
  for (int attempt = 1;; ++attempt) {
    PolicySession policy = storage_key_session(esys, parent.approvals, use.command);
    const TSS2_RC code = call(policy.get());
    if (bare(code) == rc::pcr_changed && attempt < attempts) continue;
    check_use(esys, parent, code, use.name);
    policy.ended();
    return;
  }
}

}  // namespace

NewKek create_kek(ESYS_CONTEXT* esys, const Parent& parent, const Digest& purpose) {
  const TPM2B_SENSITIVE_CREATE no_auth{};  // the KEK's own authorisation is empty: its parent's policy guards the load
  const TPM2B_PUBLIC wanted = kek_template(parent.approvals);
  const auto outside = sized<TPM2B_DATA>(purpose);
  const TPML_PCR_SELECTION no_pcrs{};
  TPM2B_PRIVATE* raw_private = nullptr;
  TPM2B_PUBLIC* raw_public = nullptr;
  TPM2B_CREATION_DATA* raw_data = nullptr;
  TPM2B_DIGEST* raw_hash = nullptr;
  TPMT_TK_CREATION* raw_ticket = nullptr;
  with_policy(esys, parent, {TpmCommand::create, "TPM2_Create"}, [&](ESYS_TR policy) {
    SaltedSession bus(esys, parent.key);
    const TSS2_RC code =
        Esys_Create(esys, parent.key, policy, bus.for_command(TPM2_CC_Create, Use::last), ESYS_TR_NONE, &no_auth,
                    &wanted, &outside, &no_pcrs, &raw_private, &raw_public, &raw_data, &raw_hash, &raw_ticket);
    if (code == TSS2_RC_SUCCESS) bus.ended();
    return code;
  });
  const Returned<TPM2B_PRIVATE> private_area(raw_private);
  const Returned<TPM2B_PUBLIC> public_area(raw_public);
  NewKek made;
  made.creation.data.reset(raw_data);
  made.creation.hash.reset(raw_hash);
  made.creation.ticket.reset(raw_ticket);
  made.blob = {public_area_of(*public_area), content_of(*private_area)};
  return made;
}

Transient load_kek(ESYS_CONTEXT* esys, const Parent& parent, const KekBlob& blob, ByteView name) {
  const auto private_area = sized<TPM2B_PRIVATE>(blob.private_area);
  const TPM2B_PUBLIC public_area = public_from(blob.public_area);
  ESYS_TR handle = ESYS_TR_NONE;  // never a live handle: ESAPI overwrites it even when it fails
  with_policy(esys, parent, {TpmCommand::load, "TPM2_Load"}, [&](ESYS_TR policy) {
    return Esys_Load(esys, parent.key, policy, ESYS_TR_NONE, ESYS_TR_NONE, &private_area, &public_area, &handle);
  });
  Transient loaded(esys, handle);
  const Bytes reported = reported_name(esys, loaded.get());
  if (!std::equal(reported.begin(), reported.end(), name.begin(), name.end())) {
    throw Error(errc::impostor_kek,
                {"use", "the KEK with Name " + to_hex(reported),
                 "The record says " + to_hex(name) + ": the file of this generation was replaced."});
  }
  return loaded;
}

Duplicate duplicate_kek(ESYS_CONTEXT* esys, const Parent& parent, ESYS_TR kek, const NewParent& to) {
  const Bytes name = reported_name(esys, kek);
  PolicySession policy =
      duplication_session(esys, parent.approvals, {name, tpm_name(to.public_area), to.trust_epoch, to.approval});
  const TPM2B_PUBLIC area = public_from(to.public_area);
  ESYS_TR handle = ESYS_TR_NONE;
  check(Esys_LoadExternal(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr, &area, ESYS_TR_RH_NULL, &handle),
        "TPM2_LoadExternal", "the new parent's public key");
  const Transient new_parent(esys, handle);

  Duplicate result{{}, {}, Secret::random(has_aes256(esys) ? 32 : 16)};
  SaltedSession bus(esys, parent.key);
  auto inner = sized<TPM2B_DATA>(result.inner_key.view());
  const Undo wiped([&inner]() noexcept { wipe({reinterpret_cast<std::uint8_t*>(&inner), sizeof(inner)}); });
  const TPMT_SYM_DEF_OBJECT symmetric = inner_wrap(result.inner_key.size());
  TPM2B_DATA* raw_key = nullptr;
  TPM2B_PRIVATE* raw_blob = nullptr;
  TPM2B_ENCRYPTED_SECRET* raw_seed = nullptr;
  check(Esys_Duplicate(esys, kek, new_parent.get(), policy.get(), bus.for_command(TPM2_CC_Duplicate, Use::last),
                       ESYS_TR_NONE, &inner, &symmetric, &raw_key, &raw_blob, &raw_seed),
        "TPM2_Duplicate", "the KEK");
  policy.ended();
  bus.ended();
  const Wiped<TPM2B_DATA> none(raw_key);  // empty: the key was ours
  const Returned<TPM2B_PRIVATE> blob(raw_blob);
  const Returned<TPM2B_ENCRYPTED_SECRET> seed(raw_seed);
  scrub(esys);
  result.blob = content_of(*blob);
  result.seed.assign(seed->secret, seed->secret + seed->size);
  return result;
}

KekBlob import_kek(ESYS_CONTEXT* esys, const Parent& parent, ByteView public_area, const ArrivedDuplicate& from) {
  const Arrival arrival(from);
  const TPM2B_PUBLIC area = public_from(public_area);
  TPM2B_PRIVATE* raw = nullptr;
  with_policy(esys, parent, {TpmCommand::import, "TPM2_Import"}, [&](ESYS_TR policy) {
    SaltedSession bus(esys, parent.key);
    const TSS2_RC code = Esys_Import(esys, parent.key, policy, bus.for_command(TPM2_CC_Import, Use::last), ESYS_TR_NONE,
                                     &arrival.inner, &area, &arrival.blob, &arrival.seed, &arrival.symmetric, &raw);
    if (code == TSS2_RC_SUCCESS) bus.ended();
    check_arrival(esys, code);
    return code;
  });
  const Returned<TPM2B_PRIVATE> private_area(raw);
  scrub(esys);
  return {Bytes(public_area.begin(), public_area.end()), content_of(*private_area)};
}

}  // namespace volcrypt::keys::tpm
