// The TPM objects and policies of volcrypt as bytes: public areas exactly as a TPM marshals them, their Names, and
// policy digests equal to those of a TPM's trial session. Hashing only: no TPM, no TSS. The authority signs by these,
// recovery checks Names by these, keys/tpm compares what its TPM reports with these. Any thread. Source: TPM 2.0 Part 1
// (Names, policies), Part 2 section 12 (public areas), Part 3 section 23 (policy commands).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "agent/keys/kek_store.hpp"
#include "dmtarget/bytes.hpp"
#include "dmtarget/uuid.hpp"

namespace volcrypt::keys {

// TPM_CC of the commands that policies name.
enum class TpmCommand : std::uint32_t {
  create = 0x153,
  import = 0x156,
  load = 0x157,
  policy_authorize = 0x16A,
  policy_command_code = 0x16C,
  policy_or = 0x171,
  policy_pcr = 0x17F,
  policy_duplication_select = 0x188,
};

// TPMA_OBJECT of our objects; the reasons for each bit: TPM facts section 2.
inline constexpr std::uint32_t kek_attributes = 0x00040C64;          // stClear, encryptedDuplication, noDA; exportable
inline constexpr std::uint32_t storage_key_attributes = 0x00030432;  // fixed, restricted decrypt, policy only, noDA
inline constexpr std::uint32_t recovery_key_attributes = 0x00030040;
inline constexpr std::uint32_t authority_attributes = 0x00040040;
inline constexpr std::uint32_t attestation_key_attributes = 0x00050472;
inline constexpr std::uint32_t endorsement_key_attributes = 0x000300B2;

// Name of an object from its TPMT_PUBLIC: 000b followed by SHA-256; 34 bytes.
Bytes tpm_name(ByteView public_area);

// TPMT_PUBLIC of each object. Points are 65 bytes, uncompressed; a policy is empty or 32 bytes. Coordinates always have
// 32 bytes. errc::invalid_argument when a point or size does not fit.
Bytes authority_public_area(ByteView point);                            // ECDSA with SHA-256
Bytes recovery_public_area(ByteView point);                             // storage parent, empty policy
Bytes storage_public_area(ByteView point, const Digest& policy);        // ECC P-256
Bytes storage_rsa_public_area(ByteView modulus, const Digest& policy);  // RSA-2048; modulus of 256 bytes
Bytes attestation_public_area(ByteView point);
Bytes kek_public_area(const Digest& unique, const Digest& policy);  // unique = SHA256(seed value || key)

// The 65-byte point of a recovery_public_area (nothing else passes, errc::invalid_argument).
Bytes recovery_point_of(ByteView public_area);

// The key inside an endorsement key's public area of a default template, ECC P-256 or RSA-2048; the other member is
// empty. errc::tpm_unsuitable for any other form.
struct EndorsementPublic {
  Bytes point;    // 65 bytes
  Bytes modulus;  // 256 bytes; the exponent is 65537
};
EndorsementPublic endorsement_public_of(ByteView public_area);
// The point of an attestation_public_area; errc::tpm_unsuitable for any other form.
Bytes attestation_point_of(ByteView public_area);

// What policies refer to.
Digest kek_reference(const Uuid& cluster,
                     std::uint64_t trust_epoch);               // SHA256(canonical("volcrypt kek duplication v1", ..))
Digest node_reference(const Uuid& cluster, const Uuid& node);  // SHA256(canonical("volcrypt node boot state v1", ..))

// Policy digests. `before` is the digest so far; policy_start is all zero.
inline constexpr Digest policy_start{};
Digest policy_command_code(const Digest& before, TpmCommand command);
Digest policy_or(const std::vector<Digest>& branches);
// PCRs of bank SHA-256, ascending, below 24; `pcr_digest` = pcr_digest_of(their values in that order).
Digest policy_pcr(const Digest& before, const std::vector<std::uint32_t>& pcrs, ByteView pcr_digest);
Digest policy_duplication_select(ByteView parent_name);  // from policy_start, includeObject = NO
Digest policy_authorize(ByteView key_name, const Digest& reference);
Digest pcr_digest_of(const std::vector<Bytes>& values);

// TPML_PCR_SELECTION with one bank, as in policy_pcr.
Bytes pcr_selection(const std::vector<std::uint32_t>& pcrs);

// The three policies that this design uses, from the authority's Name.
Digest kek_policy(ByteView authority_name, const Uuid& cluster, std::uint64_t trust_epoch);
Digest storage_policy(ByteView authority_name, const Uuid& cluster, const Uuid& node);  // form P2
// What the authority signs for a boot state: PCRs (none when `pcrs` is empty) and then the command.
Digest boot_state_policy(const std::vector<std::uint32_t>& pcrs, ByteView pcr_digest, TpmCommand command);

// The 64 bytes that an approval signs (ECDSA with SHA-256 over them, an ordinary message): policy || reference.
Bytes approval_message(const Digest& policy, const Digest& reference);

// errc::impostor_kek unless `area` is exactly a kek_public_area with this policy: a KEK that could be made persistent,
// or duplicated without its inner wrap, is none of ours whoever recorded its Name.
void require_kek_form(ByteView area, const Digest& policy);

// Checks of a node's identity against the only forms that may be approved; errc::tpm_unsuitable says which differs.
// The storage key is ECC P-256 or RSA-2048 with storage_policy; the attestation key ECC; the endorsement key of a
// default template.
void require_approvable(const NodeIdentity& identity, ByteView authority_name, const Uuid& cluster, const Uuid& node);

}  // namespace volcrypt::keys
