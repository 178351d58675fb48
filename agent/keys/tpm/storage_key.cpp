// See storage_key.hpp.
#include "agent/keys/tpm/storage_key.hpp"

#include <algorithm>

#include "agent/keys/tpm/tpm_bytes.hpp"
#include "agent/keys/tpm/tpm_context.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys::tpm {
namespace {

constexpr TPM2_HANDLE handles_tried = 256;

void set_aes128_cfb(TPMT_SYM_DEF_OBJECT& symmetric) {
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = 128;
  symmetric.mode.aes = TPM2_ALG_CFB;
}

}  // namespace

TPM2B_PUBLIC storage_template(StorageAlgorithm algorithm, const Digest& policy) {
  TPM2B_PUBLIC area{};
  TPMT_PUBLIC& key = area.publicArea;
  key.nameAlg = TPM2_ALG_SHA256;
  key.objectAttributes = storage_key_attributes;
  key.authPolicy = sized<TPM2B_DIGEST>(policy);
  if (algorithm == StorageAlgorithm::ecc_p256) {
    key.type = TPM2_ALG_ECC;
    set_aes128_cfb(key.parameters.eccDetail.symmetric);
    key.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
    key.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
    key.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
  } else {
    key.type = TPM2_ALG_RSA;
    set_aes128_cfb(key.parameters.rsaDetail.symmetric);
    key.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
    key.parameters.rsaDetail.keyBits = 2048;
    key.parameters.rsaDetail.exponent = 0;
  }
  return area;
}

namespace {

// The first handle from `first` on that nothing occupies.
TPM2_HANDLE free_handle(const std::vector<TPM2_HANDLE>& taken, TPM2_HANDLE first) {
  for (TPM2_HANDLE handle = first; handle < first + handles_tried; ++handle) {
    if (std::find(taken.begin(), taken.end(), handle) == taken.end()) return handle;
  }
  throw Error(
      errc::limit_exceeded,
      {"keep the storage key in", "the TPM",
       "Every persistent handle of our range is in use: remove objects, or set storage-key-handle in volcryptd.conf."});
}

StorageKey persist(ESYS_CONTEXT* esys, const Primary& primary, TPM2_HANDLE first) {
  std::vector<TPM2_HANDLE> taken = handles_of(esys, TPM2_PERSISTENT_FIRST);
  for (const TPM2_HANDLE handle : taken) {  // ours already?
    if (handle < first || handle >= first + handles_tried) continue;
    if (open_pinned(esys, {handle, primary.public_area})) return {handle, primary.public_area};
  }
  for (;;) {
    const TPM2_HANDLE handle = free_handle(taken, first);
    ESYS_TR kept = ESYS_TR_NONE;
    const TSS2_RC code = Esys_EvictControl(esys, ESYS_TR_RH_OWNER, primary.object.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                           ESYS_TR_NONE, handle, &kept);
    if (bare(code) == rc::nv_defined) {  // taken by somebody since the list was read
      taken.push_back(handle);
      continue;
    }
    check(code, "TPM2_EvictControl", "the storage key");
    const OpenHandle closed(esys, kept);
    return {handle, primary.public_area};
  }
}

}  // namespace

Primary make_storage_primary(ESYS_CONTEXT* esys, StorageAlgorithm algorithm, const Digest& policy) {
  const TPM2B_SENSITIVE_CREATE no_auth{};
  const TPM2B_PUBLIC wanted = storage_template(algorithm, policy);
  const TPM2B_DATA no_info{};
  const TPML_PCR_SELECTION no_pcrs{};
  ESYS_TR handle = ESYS_TR_NONE;
  TPM2B_PUBLIC* raw_area = nullptr;
  TPM2B_CREATION_DATA* raw_data = nullptr;
  TPM2B_DIGEST* raw_hash = nullptr;
  TPMT_TK_CREATION* raw_ticket = nullptr;
  check(Esys_CreatePrimary(esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, &wanted,
                           &no_info, &no_pcrs, &handle, &raw_area, &raw_data, &raw_hash, &raw_ticket),
        "TPM2_CreatePrimary", "the storage key");
  Primary primary{Transient(esys, handle), {}};
  const Returned<TPM2B_PUBLIC> area(raw_area);
  const Returned<TPM2B_CREATION_DATA> data(raw_data);
  const Returned<TPM2B_DIGEST> hash(raw_hash);
  const Returned<TPMT_TK_CREATION> ticket(raw_ticket);
  primary.public_area = public_area_of(*area);
  return primary;
}

StorageKey ensure_storage_key(ESYS_CONTEXT* esys, StorageAlgorithm algorithm, const Digest& policy, TPM2_HANDLE first) {
  return persist(esys, make_storage_primary(esys, algorithm, policy), first);
}

OpenHandle open_pinned(ESYS_CONTEXT* esys, const StorageKey& key) {
  ESYS_TR handle = ESYS_TR_NONE;
  const TSS2_RC code = Esys_TR_FromTPMPublic(esys, key.handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &handle);
  if (bare(code) == rc::handle) return {};
  check(code, "TPM2_ReadPublic", "the storage key");  // 0x902 is "no slot", not "no such handle"
  OpenHandle opened(esys, handle);
  if (reported_name(esys, opened.get()) != tpm_name(key.public_area)) return {};
  return opened;
}

StorageKey restore_storage_key(ESYS_CONTEXT* esys, const StorageKey& key, TPM2_HANDLE first) {
  const TPM2B_PUBLIC area = public_from(key.public_area);
  const auto algorithm = area.publicArea.type == TPM2_ALG_RSA ? StorageAlgorithm::rsa_2048 : StorageAlgorithm::ecc_p256;
  const Primary primary = make_storage_primary(esys, algorithm, policy_of(key.public_area));
  if (primary.public_area != key.public_area) {
    throw Error(
        errc::tpm_cleared,
        {"find this node's storage key in", "the TPM",
         "The TPM was cleared, or is another one: open the volumes with the recovery key "
         "(`volcryptctl recovery open --device DEVICE --bundle FILE --recovery-file FILE`), then make a new cluster."});
  }
  return persist(esys, primary, first);
}

void evict_storage_key(ESYS_CONTEXT* esys, const StorageKey& key) {
  OpenHandle opened = open_pinned(esys, key);
  if (!opened) return;
  ESYS_TR gone = ESYS_TR_NONE;
  check(Esys_EvictControl(esys, ESYS_TR_RH_OWNER, opened.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                          key.handle, &gone),
        "TPM2_EvictControl", "the former storage key");
  opened.release();  // ESAPI ended the handle with the object
}

Digest policy_of(ByteView public_area) {
  const TPM2B_PUBLIC area = public_from(public_area);
  const Bytes recorded = content_of(area.publicArea.authPolicy);
  Digest policy{};
  if (recorded.size() != policy.size())
    throw Error(errc::invalid_argument, {"use", "a storage key without policy", ""});
  std::copy(recorded.begin(), recorded.end(), policy.begin());
  return policy;
}

Bytes reported_name(ESYS_CONTEXT* esys, ESYS_TR handle) {
  TPM2B_NAME* raw = nullptr;
  check(Esys_TR_GetName(esys, handle, &raw), "the Name", "an object of the TPM");
  const Returned<TPM2B_NAME> name(raw);
  return name_of(*name);
}

}  // namespace volcrypt::keys::tpm
