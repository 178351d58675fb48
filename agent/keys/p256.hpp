// The curve P-256 through OpenSSL: points, ECDH, ECDSA. Private scalars come and go as Secrets; OpenSSL's own copies
// live in its secure heap and are wiped when a call returns. Wrong points and keys throw Error. Any thread. Source: SEC
// 1 (points, ECDSA), RFC 5480 (SubjectPublicKeyInfo).
#pragma once

#include "dmtarget/bytes.hpp"
#include "dmtarget/secret.hpp"

namespace volcrypt::keys {

inline constexpr std::size_t p256_point_size = 65;   // uncompressed: 04 || x || y
inline constexpr std::size_t p256_scalar_size = 32;  // big-endian

struct P256Pair {
  Secret scalar;
  Bytes point;
};
P256Pair generate_p256();

Bytes p256_point(const Secret& scalar);  // errc::invalid_argument when the scalar is 0 or not below the order

// All four refuse with errc::invalid_argument what is not a point of the curve in exactly this form.
void require_p256_point(ByteView point);
Bytes p256_public_der(ByteView point);
Bytes p256_point_from_der(ByteView subject_public_key_info);  // the DER must be the canonical one of p256_public_der
Secret p256_shared_x(const Secret& scalar, ByteView point);   // 32 bytes, padded

// ECDSA with SHA-256 over the message; the signature is DER.
Bytes p256_sign(const Secret& scalar, ByteView message);
// False for a signature that does not fit, malformed ones included; errc::invalid_argument for a bad point.
bool p256_verify(ByteView point, ByteView message, ByteView signature);

// The two numbers of a DER signature, as a TPM wants them. errc::bad_signature when it is not one.
struct EcdsaNumbers {
  Digest r;
  Digest s;
};
EcdsaNumbers ecdsa_numbers(ByteView signature);

}  // namespace volcrypt::keys
