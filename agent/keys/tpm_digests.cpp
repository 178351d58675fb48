// Marshalled public areas and policy digests; see tpm_digests.hpp. Every number here is big-endian, as in the TPM.
#include "agent/keys/tpm_digests.hpp"

#include <algorithm>
#include <limits>

#include "agent/keys/p256.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {
namespace {

// TPM_ALG_ID, TPM_ECC_CURVE
constexpr std::uint16_t alg_rsa = 0x0001, alg_hmac = 0x0005, alg_aes = 0x0006, alg_keyedhash = 0x0008,
                        alg_sha256 = 0x000B, alg_null = 0x0010, alg_ecdsa = 0x0018, alg_ecc = 0x0023, alg_cfb = 0x0043,
                        curve_p256 = 0x0003;
constexpr std::size_t coordinate_size = 32, rsa_bytes = 256;

// PolicySecret(TPM_RH_ENDORSEMENT): the policy of the default endorsement templates L-1 and L-2.
// Source: TCG EK Credential Profile 2.0, sections B.3.3 and B.3.4.
constexpr std::string_view endorsement_policy = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";

class Marshal {
 public:
  Marshal& u8(std::uint8_t value) { return bytes_.push_back(value), *this; }
  Marshal& u16(std::uint16_t value) { return u8(std::uint8_t(value >> 8)).u8(std::uint8_t(value)); }
  Marshal& u32(std::uint32_t value) { return u16(std::uint16_t(value >> 16)).u16(std::uint16_t(value)); }
  Marshal& raw(ByteView bytes) { return bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()), *this; }
  Marshal& sized(ByteView bytes) { return u16(std::uint16_t(bytes.size())).raw(bytes); }  // TPM2B
  Bytes take() { return std::move(bytes_); }
  Digest hash() const { return sha256(bytes_); }

 private:
  Bytes bytes_;
};

Marshal head(std::uint16_t type, std::uint32_t attributes, ByteView policy) {
  Marshal area;
  area.u16(type).u16(alg_sha256).u32(attributes).sized(policy);
  return area;
}

Bytes with_point(Marshal area, ByteView point) {
  require_p256_point(point);
  area.u16(curve_p256).u16(alg_null);  // curve, then no key derivation scheme
  area.sized(point.subspan(1, coordinate_size)).sized(point.subspan(1 + coordinate_size, coordinate_size));
  return area.take();
}

Bytes ecc_storage(std::uint32_t attributes, ByteView point, ByteView policy) {
  Marshal area = head(alg_ecc, attributes, policy);
  area.u16(alg_aes).u16(128).u16(alg_cfb).u16(alg_null);
  return with_point(std::move(area), point);
}

Bytes ecc_signing(std::uint32_t attributes, ByteView point) {
  Marshal area = head(alg_ecc, attributes, {});
  area.u16(alg_null).u16(alg_ecdsa).u16(alg_sha256);
  return with_point(std::move(area), point);
}

Bytes rsa_storage(std::uint32_t attributes, ByteView modulus, ByteView policy) {
  Marshal area = head(alg_rsa, attributes, policy);
  area.u16(alg_aes).u16(128).u16(alg_cfb).u16(alg_null).u16(rsa_bytes * 8).u32(0);  // exponent 0 means 65537
  area.sized(modulus);
  return area.take();
}

// The point at the end of any ECC public area of ours; the caller compares the whole area afterwards.
std::optional<Bytes> trailing_point(ByteView area) {
  constexpr std::size_t tail = 2 * (2 + coordinate_size);
  if (area.size() < tail) return std::nullopt;
  Bytes point{0x04};
  const ByteView end = area.last(tail);
  point.insert(point.end(), end.begin() + 2, end.begin() + 2 + coordinate_size);
  point.insert(point.end(), end.end() - coordinate_size, end.end());
  try {
    require_p256_point(point);
  } catch (const Error&) {
    return std::nullopt;  // the answer is no, and the caller says which key it is
  }
  return point;
}

template <class Rebuild>
bool is_ecc_form(ByteView area, Rebuild rebuild) {
  const auto point = trailing_point(area);
  return point && std::ranges::equal(rebuild(*point), area);
}

template <class Rebuild>
bool is_rsa_form(ByteView area, Rebuild rebuild) {
  return area.size() > rsa_bytes && std::ranges::equal(rebuild(area.last(rsa_bytes)), area);
}

[[noreturn]] void unsuitable(const char* key) {
  throw Error(errc::tpm_unsuitable,
              {"approve", key,
               "Its attributes or policy are not the form that may be approved; let the node make its keys "
               "again with this version of volcrypt."});
}

void require_pcrs(const std::vector<std::uint32_t>& pcrs) {
  const bool ascending = std::ranges::adjacent_find(pcrs, std::greater_equal<>{}) == pcrs.end();
  if (pcrs.empty() || !ascending || pcrs.back() >= 24) {
    throw Error(errc::invalid_argument, {"select", "the PCRs", "Give PCR numbers from 0 to 23, ascending, each once."});
  }
}

}  // namespace

Bytes tpm_name(ByteView public_area) {
  const Digest digest = sha256(public_area);
  return Marshal{}.u16(alg_sha256).raw(digest).take();
}

Bytes authority_public_area(ByteView point) { return ecc_signing(authority_attributes, point); }
Bytes attestation_public_area(ByteView point) { return ecc_signing(attestation_key_attributes, point); }
Bytes recovery_public_area(ByteView point) { return ecc_storage(recovery_key_attributes, point, {}); }

Bytes storage_public_area(ByteView point, const Digest& policy) {
  return ecc_storage(storage_key_attributes, point, policy);
}

Bytes storage_rsa_public_area(ByteView modulus, const Digest& policy) {
  if (modulus.size() != rsa_bytes) {
    throw Error(errc::invalid_argument, {"describe", "the RSA storage key", "Only RSA-2048 is known."});
  }
  return rsa_storage(storage_key_attributes, modulus, policy);
}

Bytes kek_public_area(const Digest& unique, const Digest& policy) {
  Marshal area = head(alg_keyedhash, kek_attributes, policy);
  return area.u16(alg_hmac).u16(alg_sha256).sized(unique).take();
}

Bytes recovery_point_of(ByteView public_area) {
  const auto point = trailing_point(public_area);
  if (!point || !std::ranges::equal(recovery_public_area(*point), public_area)) {
    throw Error(errc::invalid_argument,
                {"read", "the recovery key's public area", "The membership document is damaged."});
  }
  return *point;
}

EndorsementPublic endorsement_public_of(ByteView public_area) {
  const Bytes policy = from_hex(endorsement_policy);
  const auto ecc = [&](ByteView point) { return ecc_storage(endorsement_key_attributes, point, policy); };
  const auto rsa = [&](ByteView modulus) { return rsa_storage(endorsement_key_attributes, modulus, policy); };
  if (is_ecc_form(public_area, ecc)) return {*trailing_point(public_area), {}};
  if (!is_rsa_form(public_area, rsa)) unsuitable("the node's endorsement key");
  const ByteView modulus = public_area.last(rsa_bytes);
  return {{}, Bytes(modulus.begin(), modulus.end())};
}

Bytes attestation_point_of(ByteView public_area) {
  if (!is_ecc_form(public_area, [](ByteView point) { return attestation_public_area(point); }))
    unsuitable("the node's attestation key");
  return *trailing_point(public_area);
}

Digest kek_reference(const Uuid& cluster, std::uint64_t trust_epoch) {
  return Canonical("volcrypt kek duplication v1").add(cluster).add(trust_epoch).sha256();
}

Digest node_reference(const Uuid& cluster, const Uuid& node) {
  return Canonical("volcrypt node boot state v1").add(cluster).add(node).sha256();
}

Digest policy_command_code(const Digest& before, TpmCommand command) {
  return Marshal{}.raw(before).u32(std::uint32_t(TpmCommand::policy_command_code)).u32(std::uint32_t(command)).hash();
}

Digest policy_or(const std::vector<Digest>& branches) {
  Marshal input;
  input.raw(policy_start).u32(std::uint32_t(TpmCommand::policy_or));
  for (const Digest& branch : branches) input.raw(branch);
  return input.hash();
}

Bytes pcr_selection(const std::vector<std::uint32_t>& pcrs) {
  require_pcrs(pcrs);
  std::array<std::uint8_t, 3> bitmap{};
  for (const std::uint32_t pcr : pcrs) bitmap[pcr / 8] = std::uint8_t(bitmap[pcr / 8] | (1U << (pcr % 8)));
  return Marshal{}.u32(1).u16(alg_sha256).u8(std::uint8_t(bitmap.size())).raw(bitmap).take();
}

Digest policy_pcr(const Digest& before, const std::vector<std::uint32_t>& pcrs, ByteView pcr_digest) {
  if (pcr_digest.size() != std::tuple_size_v<Digest>) {
    throw Error(errc::invalid_argument,
                {"bind", "the PCR digest", "It has to be 32 bytes, SHA-256 over the PCR values."});
  }
  const Bytes selection = pcr_selection(pcrs);
  return Marshal{}.raw(before).u32(std::uint32_t(TpmCommand::policy_pcr)).raw(selection).raw(pcr_digest).hash();
}

Digest policy_duplication_select(ByteView parent_name) {
  return Marshal{}
      .raw(policy_start)
      .u32(std::uint32_t(TpmCommand::policy_duplication_select))
      .raw(parent_name)
      .u8(0)
      .hash();
}

Digest policy_authorize(ByteView key_name, const Digest& reference) {
  const Digest first =
      Marshal{}.raw(policy_start).u32(std::uint32_t(TpmCommand::policy_authorize)).raw(key_name).hash();
  return Marshal{}.raw(first).raw(reference).hash();
}

Digest pcr_digest_of(const std::vector<Bytes>& values) {
  Marshal input;
  for (const Bytes& value : values) input.raw(value);
  return input.hash();
}

Digest kek_policy(ByteView authority_name, const Uuid& cluster, std::uint64_t trust_epoch) {
  return policy_authorize(authority_name, kek_reference(cluster, trust_epoch));
}

Digest storage_policy(ByteView authority_name, const Uuid& cluster, const Uuid& node) {
  return policy_authorize(authority_name, node_reference(cluster, node));
}

Digest boot_state_policy(const std::vector<std::uint32_t>& pcrs, ByteView pcr_digest, TpmCommand command) {
  if (pcrs.empty() != pcr_digest.empty()) {
    throw Error(errc::invalid_argument, {"bind", "the boot state", "Give PCRs and their digest, or neither."});
  }
  return policy_command_code(pcrs.empty() ? policy_start : policy_pcr(policy_start, pcrs, pcr_digest), command);
}

Bytes approval_message(const Digest& policy, const Digest& reference) {
  return Marshal{}.raw(policy).raw(reference).take();
}

void require_kek_form(ByteView area, const Digest& policy) {
  Digest unique{};
  if (area.size() > unique.size()) {
    std::copy(area.end() - std::ptrdiff_t(unique.size()), area.end(), unique.begin());
    if (std::ranges::equal(kek_public_area(unique, policy), area)) return;
  }
  throw Error(errc::impostor_kek,
              {"use", "a KEK of another form",
               "Its attributes or policy are not those of this cluster's KEKs: it was not made by volcrypt."});
}

void require_approvable(const NodeIdentity& identity, ByteView authority_name, const Uuid& cluster, const Uuid& node) {
  const Digest policy = storage_policy(authority_name, cluster, node);
  const ByteView storage = identity.storage_key;
  if (!is_ecc_form(storage, [&](ByteView point) { return storage_public_area(point, policy); }) &&
      !is_rsa_form(storage, [&](ByteView modulus) { return storage_rsa_public_area(modulus, policy); })) {
    unsuitable("the node's storage key");
  }
  attestation_point_of(identity.attestation_key);
  endorsement_public_of(identity.endorsement_key);
}

}  // namespace volcrypt::keys
