// See tpm_bytes.hpp.
#include "agent/keys/tpm/tpm_bytes.hpp"

#include <tss2/tss2_mu.h>

#include "agent/keys/p256.hpp"
#include "agent/keys/tpm/tss_error.hpp"

namespace volcrypt::keys::tpm {

TPM2B_PUBLIC public_from(ByteView public_area) {
  TPM2B_PUBLIC result{};
  std::size_t offset = 0;
  const TSS2_RC code =
      Tss2_MU_TPMT_PUBLIC_Unmarshal(public_area.data(), public_area.size(), &offset, &result.publicArea);
  if (code != TSS2_RC_SUCCESS || offset != public_area.size()) {
    throw Error(errc::invalid_argument,
                {"read", "a TPM public area of " + std::to_string(public_area.size()) + " bytes", ""});
  }
  return result;
}

Bytes public_area_of(const TPM2B_PUBLIC& area) {
  Bytes result(sizeof(TPMT_PUBLIC));
  std::size_t size = 0;
  check(Tss2_MU_TPMT_PUBLIC_Marshal(&area.publicArea, result.data(), result.size(), &size), "marshalling",
        "a public area");
  result.resize(size);
  return result;
}

Bytes marshal_signature(const TPMT_SIGNATURE& signature) {
  Bytes result(sizeof(TPMT_SIGNATURE));
  std::size_t size = 0;
  check(Tss2_MU_TPMT_SIGNATURE_Marshal(&signature, result.data(), result.size(), &size), "marshalling", "a signature");
  result.resize(size);
  return result;
}

TPMT_SIGNATURE signature_from_der(ByteView der) {
  const EcdsaNumbers numbers = ecdsa_numbers(der);
  TPMT_SIGNATURE signature{};
  signature.sigAlg = TPM2_ALG_ECDSA;
  signature.signature.ecdsa.hash = TPM2_ALG_SHA256;
  signature.signature.ecdsa.signatureR = sized<TPM2B_ECC_PARAMETER>(numbers.r);
  signature.signature.ecdsa.signatureS = sized<TPM2B_ECC_PARAMETER>(numbers.s);
  return signature;
}

namespace {

Bytes padded(const TPM2B_ECC_PARAMETER& number) {
  const Bytes content = content_of(number);
  if (content.size() > 32) throw Error(errc::invalid_argument, {"read", "an over-long P-256 number", ""});
  Bytes result(32 - content.size(), 0);
  result.insert(result.end(), content.begin(), content.end());
  return result;
}

// DER INTEGER: no leading zeros but the one that keeps it positive.
void append_integer(Bytes& der, const Bytes& number) {
  const auto first = std::find_if(number.begin(), number.end() - 1, [](std::uint8_t byte) { return byte != 0; });
  const std::size_t sign = (*first & 0x80) != 0 ? 1 : 0;
  der.push_back(0x02);
  der.push_back(static_cast<std::uint8_t>(number.end() - first + static_cast<std::ptrdiff_t>(sign)));
  der.insert(der.end(), sign, 0);
  der.insert(der.end(), first, number.end());
}

}  // namespace

Bytes der_from_signature(const TPMT_SIGNATURE& signature) {
  Bytes numbers;
  append_integer(numbers, padded(signature.signature.ecdsa.signatureR));
  append_integer(numbers, padded(signature.signature.ecdsa.signatureS));
  Bytes der = {0x30, static_cast<std::uint8_t>(numbers.size())};
  der.insert(der.end(), numbers.begin(), numbers.end());
  return der;
}

Bytes point_of(const TPM2B_PUBLIC& area) {
  const Bytes x = padded(area.publicArea.unique.ecc.x);
  const Bytes y = padded(area.publicArea.unique.ecc.y);
  Bytes point = {0x04};
  point.insert(point.end(), x.begin(), x.end());
  point.insert(point.end(), y.begin(), y.end());
  return point;
}

TPML_PCR_SELECTION select_pcrs(const std::vector<std::uint32_t>& pcrs) {
  TPML_PCR_SELECTION selection{};
  if (pcrs.empty()) return selection;
  selection.count = 1;
  TPMS_PCR_SELECTION& bank = selection.pcrSelections[0];
  bank.hash = TPM2_ALG_SHA256;
  bank.sizeofSelect = 3;
  for (const std::uint32_t pcr : pcrs) {
    if (pcr >= 24)
      throw Error(errc::invalid_argument, {"bind", "PCR " + std::to_string(pcr), "PCRs have numbers 0 to 23."});
    bank.pcrSelect[pcr / 8] = static_cast<BYTE>(bank.pcrSelect[pcr / 8] | (1U << (pcr % 8)));
  }
  return selection;
}

TPM2B_NAME name_from(ByteView name) {
  TPM2B_NAME result{};
  if (name.size() > sizeof(result.name)) throw Error(errc::invalid_argument, {"use", "an over-long TPM Name", ""});
  result.size = static_cast<UINT16>(name.size());
  std::copy(name.begin(), name.end(), result.name);
  return result;
}

TPM2B_ENCRYPTED_SECRET seed_from(ByteView seed) {
  TPM2B_ENCRYPTED_SECRET result{};
  if (seed.size() > sizeof(result.secret)) throw Error(errc::invalid_argument, {"use", "an over-long seed", ""});
  result.size = static_cast<UINT16>(seed.size());
  std::copy(seed.begin(), seed.end(), result.secret);
  return result;
}

}  // namespace volcrypt::keys::tpm
