// TPM structures to and from byte strings, with strict ends: what does not unmarshal to the last byte is refused with
// errc::invalid_argument. Marshalling only: no TPM. Any thread.
// Source: TPM 2.0 Part 2; tss2_mu for the structures, the sized buffers by hand.
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include <algorithm>
#include <vector>

#include "dmtarget/bytes.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys::tpm {

TPM2B_PUBLIC public_from(ByteView public_area);  // TPMT_PUBLIC
Bytes public_area_of(const TPM2B_PUBLIC& area);

Bytes marshal_signature(const TPMT_SIGNATURE& signature);
// An ECDSA signature with SHA-256 from its DER form; errc::bad_signature when it is none.
TPMT_SIGNATURE signature_from_der(ByteView der);
Bytes der_from_signature(const TPMT_SIGNATURE& signature);  // of an ECDSA signature
// The point of an ECC P-256 public area, 65 bytes uncompressed; coordinates that a TPM shortened are padded.
Bytes point_of(const TPM2B_PUBLIC& area);

// One bank, SHA-256; an empty list selects nothing.
TPML_PCR_SELECTION select_pcrs(const std::vector<std::uint32_t>& pcrs);

// Any TPM2B whose content is called `buffer` (TPM2B_DIGEST, TPM2B_DATA, TPM2B_PRIVATE, ...).
template <class Sized>
Sized sized(ByteView content) {
  Sized result{};
  if (content.size() > sizeof(result.buffer)) {
    throw Error(errc::invalid_argument,
                {"use", "a field of " + std::to_string(content.size()) + " bytes for the TPM", ""});
  }
  result.size = static_cast<UINT16>(content.size());
  std::copy(content.begin(), content.end(), result.buffer);
  return result;
}
template <class Sized>
Bytes content_of(const Sized& field) {
  return Bytes(field.buffer, field.buffer + std::min<std::size_t>(field.size, sizeof(field.buffer)));
}

inline Bytes name_of(const TPM2B_NAME& name) {
  return Bytes(name.name, name.name + std::min<std::size_t>(name.size, sizeof(name.name)));
}
TPM2B_NAME name_from(ByteView name);
TPM2B_ENCRYPTED_SECRET seed_from(ByteView seed);

}  // namespace volcrypt::keys::tpm
