// P-256: known points and encodings, agreement from both sides, refusals of what is no point and no signature.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/keys/p256.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/vectors.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;

namespace {
bool is_invalid(const Error& e) { return e.code() == errc::invalid_argument; }
}  // namespace

BOOST_AUTO_TEST_SUITE(p256)

BOOST_AUTO_TEST_CASE(point_and_public_key_of_a_known_scalar_are_those_of_other_code) {
  const tests::Vectors v("keys_tpm_digests.json");
  const Bytes point = p256_point(Secret::copy_of(v.hex("authority_scalar")));
  BOOST_TEST(point == v.hex("authority_point"));
  BOOST_TEST(p256_public_der(point) == v.hex("authority_der"));
  BOOST_TEST(p256_point_from_der(v.hex("authority_der")) == point);
}

BOOST_AUTO_TEST_CASE(two_sides_agree_on_one_secret) {
  const P256Pair a = generate_p256(), b = generate_p256(), c = generate_p256();
  BOOST_TEST(equals(p256_shared_x(a.scalar, b.point), p256_shared_x(b.scalar, a.point)));
  BOOST_TEST(!equals(p256_shared_x(a.scalar, b.point), p256_shared_x(a.scalar, c.point)));
}

BOOST_AUTO_TEST_CASE(signature_holds_for_its_message_and_key_only) {
  const P256Pair a = generate_p256(), b = generate_p256();
  const Bytes signature = p256_sign(a.scalar, as_bytes("message"));
  BOOST_TEST(p256_verify(a.point, as_bytes("message"), signature));
  BOOST_TEST(!p256_verify(a.point, as_bytes("massage"), signature));
  BOOST_TEST(!p256_verify(b.point, as_bytes("message"), signature));
  BOOST_TEST(!p256_verify(a.point, as_bytes("message"), {}));
  for (std::size_t at = 0; at < signature.size(); ++at) {
    Bytes changed = signature;
    changed[at] ^= 1;
    BOOST_TEST(!p256_verify(a.point, as_bytes("message"), changed));
  }
}

BOOST_AUTO_TEST_CASE(numbers_of_a_signature_are_padded_to_32_bytes_and_other_bytes_are_refused) {
  const Bytes small = from_hex("300602010102017f");
  const EcdsaNumbers numbers = ecdsa_numbers(small);
  BOOST_TEST(numbers.r[31] == 1);
  BOOST_TEST(numbers.s[31] == 0x7f);
  BOOST_TEST(numbers.r[0] == 0);
  const auto is_bad = [](const Error& e) { return e.code() == errc::bad_signature; };
  BOOST_CHECK_EXCEPTION(ecdsa_numbers({}), Error, is_bad);
  BOOST_CHECK_EXCEPTION(ecdsa_numbers(from_hex("300602010102017f00")), Error, is_bad);
  BOOST_CHECK_EXCEPTION(ecdsa_numbers(from_hex("3006020101")), Error, is_bad);
}

BOOST_AUTO_TEST_CASE(points_off_the_curve_compressed_or_cut_are_refused) {
  const Bytes good = generate_p256().point;
  Bytes off = good;
  off[64] ^= 1;
  Bytes infinity{0};
  BOOST_CHECK_EXCEPTION(require_p256_point(off), Error, is_invalid);
  BOOST_CHECK_EXCEPTION(require_p256_point(infinity), Error, is_invalid);
  BOOST_CHECK_EXCEPTION(require_p256_point(ByteView(good).first(33)), Error, is_invalid);
  BOOST_CHECK_EXCEPTION(p256_point_from_der(good), Error, is_invalid);
  BOOST_CHECK_EXCEPTION(p256_shared_x(generate_p256().scalar, off), Error, is_invalid);
}

BOOST_AUTO_TEST_CASE(scalars_of_zero_or_beyond_the_order_are_refused) {
  BOOST_CHECK_EXCEPTION(p256_point(Secret(32)), Error, is_invalid);
  BOOST_CHECK_EXCEPTION(p256_point(Secret::copy_of(Bytes(32, 0xff))), Error, is_invalid);
  BOOST_CHECK_EXCEPTION(p256_point(Secret(31)), Error, is_invalid);
}

BOOST_AUTO_TEST_SUITE_END()
