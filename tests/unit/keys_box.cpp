// HMAC, HKDF and GCM against published vectors; boxes open for their recipient, context and bytes only.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/keys/box.hpp"
#include "agent/keys/symmetric.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/vectors.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;

namespace {
bool is_wrong_key(const Error& e) { return e.code() == errc::wrong_key; }
Secret secret_of(std::string_view hex) { return Secret::copy_of(from_hex(hex)); }
}  // namespace

BOOST_AUTO_TEST_SUITE(box)

BOOST_AUTO_TEST_CASE(hmac_and_hkdf_agree_with_their_rfcs) {
  // RFC 4231, test case 2
  BOOST_TEST(equals(hmac_sha256(Secret::copy_of(as_bytes("Jefe")), as_bytes("what do ya want for nothing?")),
                    secret_of("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")));
  // RFC 5869, test case 3 (no salt, no info), first 32 bytes
  BOOST_TEST(equals(hkdf_sha256(Secret::copy_of(Bytes(22, 0x0b)), {}),
                    secret_of("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d")));
}

BOOST_AUTO_TEST_CASE(gcm_agrees_with_the_vector_of_its_designers) {
  // McGrew and Viega, test case 16: AES-256 with additional data
  const Secret key = secret_of("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const Bytes aad = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const Secret plain = secret_of(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  GcmNonce nonce{};
  std::ranges::copy(from_hex("cafebabefacedbaddecaf888"), nonce.begin());
  const Bytes sealed = gcm_seal(key, nonce, aad, plain);
  BOOST_TEST(sealed ==
             from_hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                      "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"));
  BOOST_TEST(equals(gcm_open(key, nonce, aad, sealed), plain));
}

BOOST_AUTO_TEST_CASE(box_of_other_code_is_opened) {
  const tests::Vectors v("keys_box.json");
  const Secret scalar = Secret::copy_of(v.hex("recipient_scalar"));
  BOOST_TEST(equals(open_box(scalar, v.hex("context"), v.hex("box")), Secret::copy_of(v.hex("secret"))));
}

BOOST_AUTO_TEST_CASE(box_opens_for_its_recipient_and_context_only) {
  const P256Pair own = generate_p256(), other = generate_p256();
  const Secret secret = Secret::random(32);
  const Bytes box = seal_box(own.point, as_bytes("context"), secret);
  BOOST_TEST(equals(open_box(own.scalar, as_bytes("context"), box), secret));
  BOOST_CHECK_EXCEPTION(open_box(other.scalar, as_bytes("context"), box), Error, is_wrong_key);
  BOOST_CHECK_EXCEPTION(open_box(own.scalar, as_bytes("contexT"), box), Error, is_wrong_key);
}

BOOST_AUTO_TEST_CASE(box_changed_or_cut_at_any_byte_is_refused) {
  const P256Pair own = generate_p256();
  const Bytes box = seal_box(own.point, as_bytes("context"), Secret::random(32));
  for (std::size_t at = 0; at < box.size(); ++at) {
    Bytes changed = box;
    changed[at] ^= 0x40;
    BOOST_CHECK_EXCEPTION(open_box(own.scalar, as_bytes("context"), changed), Error, is_wrong_key);
    BOOST_CHECK_EXCEPTION(open_box(own.scalar, as_bytes("context"), ByteView(box).first(at)), Error, is_wrong_key);
  }
}

BOOST_AUTO_TEST_SUITE_END()
