// Wrapping a DEK: vectors of other code, keys of awkward bytes (mvm#729: a raw key cut at 0x0a), every authenticated
// field.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <functional>

#include "agent/keys/dek_wrap.hpp"
#include "agent/keys/symmetric.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/vectors.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;

namespace {

bool is_wrong_key(const Error& e) { return e.code() == errc::wrong_key; }

dm::Token token() {
  dm::Token t;
  t.cluster = Uuid::random();
  t.group = Uuid::random();
  t.volume = Uuid::random();
  t.name = "data1";
  t.generation = 3;
  return t;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(dek_wrap)

BOOST_AUTO_TEST_CASE(wrapped_keys_of_other_code_are_unwrapped) {
  const tests::Vectors all("keys_dek_wrap.json");
  for (const auto& entry : all.list("vectors")) {
    const tests::Vectors v(entry.as_object());
    dm::Token t;
    t.cluster = Uuid::parse(all.text("cluster"));
    t.group = Uuid::parse(all.text("group"));
    t.volume = Uuid::parse(all.text("volume"));
    t.name = all.text("name");
    t.generation = v.number("generation");
    std::ranges::copy(v.hex("nonce"), t.nonce.begin());
    std::ranges::copy(v.hex("wrapped_dek"), t.wrapped_dek.begin());
    const Digest group = group_digest(t.cluster, t.group, t.generation);
    BOOST_TEST(Bytes(group.begin(), group.end()) == v.hex("group_digest"));
    const Secret g = hmac_sha256(Secret::copy_of(v.hex("kek")), group);
    BOOST_TEST(equals(g, Secret::copy_of(v.hex("group_key"))));
    BOOST_TEST(equals(unwrap(t, g), Secret::copy_of(v.hex("dek"))));
  }
}

BOOST_AUTO_TEST_CASE(proof_of_a_kek_has_its_digest_and_is_no_group_key) {
  const tests::Vectors all("keys_dek_wrap.json");
  const Uuid cluster = Uuid::parse(all.text("cluster"));
  Digest challenge{};
  std::ranges::copy(all.hex("challenge"), challenge.begin());
  for (const auto& entry : all.list("vectors")) {
    const tests::Vectors v(entry.as_object());
    const Digest proof = proof_digest(cluster, v.number("generation"), challenge);
    BOOST_TEST(Bytes(proof.begin(), proof.end()) == v.hex("proof_digest"));
  }
}

BOOST_AUTO_TEST_CASE(keys_full_of_zeros_newlines_and_random_bytes_come_back_whole) {
  const Secret group = Secret::random(32);
  for (int round = 0; round < 200; ++round) {
    Secret dek = Secret::random(volume_key_size);
    for (std::size_t at = 0; at < dek.size(); ++at) {
      if (round < 64 && at >= std::size_t(round)) dek.data()[at] = 0x00;
      if (round >= 64 && round < 128 && at <= std::size_t(round - 64)) dek.data()[at] = 0x0a;
    }
    dm::Token t = token();
    wrap(t, group, dek);
    BOOST_TEST(equals(unwrap(t, group), dek));
  }
}

BOOST_AUTO_TEST_CASE(two_wraps_of_one_key_share_no_nonce) {
  const Secret group = Secret::random(32), dek = Secret::random(volume_key_size);
  dm::Token a = token(), b = a;
  wrap(a, group, dek);
  wrap(b, group, dek);
  BOOST_TEST(a.nonce != b.nonce);
  BOOST_TEST(a.wrapped_dek != b.wrapped_dek);
}

BOOST_AUTO_TEST_CASE(change_of_any_authenticated_field_is_a_wrong_key) {
  const Secret group = Secret::random(32);
  dm::Token good = token();
  wrap(good, group, Secret::random(volume_key_size));
  const std::vector<std::function<void(dm::Token&)>> changes = {
      [](dm::Token& t) { t.cluster = Uuid::random(); },
      [](dm::Token& t) { t.group = Uuid::random(); },
      [](dm::Token& t) { t.volume = Uuid::random(); },
      [](dm::Token& t) { t.name = "data2"; },
      [](dm::Token& t) { t.generation = 2; },
      [](dm::Token& t) { t.description.cipher = "aes-cbc-plain"; },
      [](dm::Token& t) { t.description.key_bytes = 32; },
      [](dm::Token& t) { t.description.sector_size = 512; },
      [](dm::Token& t) { t.description.data_offset += 4096; },
      [](dm::Token& t) { t.description.discards = dm::Discards::passed_down; },
      [](dm::Token& t) { t.description.workqueues = dm::Workqueues::bypassed; },
      [](dm::Token& t) { t.description.reencrypting = true; },  // CVE-2021-4122
  };
  for (const auto& change : changes) {
    dm::Token t = good;
    change(t);
    BOOST_CHECK_EXCEPTION(unwrap(t, group), Error, is_wrong_key);
  }
  for (std::size_t bit = 0; bit < good.nonce.size() * 8; ++bit) {
    dm::Token t = good;
    t.nonce[bit / 8] ^= std::uint8_t(1U << (bit % 8));
    BOOST_CHECK_EXCEPTION(unwrap(t, group), Error, is_wrong_key);
  }
  for (std::size_t bit = 0; bit < good.wrapped_dek.size() * 8; ++bit) {
    dm::Token t = good;
    t.wrapped_dek[bit / 8] ^= std::uint8_t(1U << (bit % 8));
    BOOST_CHECK_EXCEPTION(unwrap(t, group), Error, is_wrong_key);
  }
  BOOST_CHECK_EXCEPTION(unwrap(good, Secret::random(32)), Error, is_wrong_key);
}

BOOST_AUTO_TEST_CASE(refused_wrap_leaves_the_token_as_it_was) {
  const Secret group = Secret::random(32), dek = Secret::random(volume_key_size);
  const auto refused = [](dm::Token t, const Secret& g, const Secret& key) {
    const dm::Token before = t;
    BOOST_CHECK_EXCEPTION(wrap(t, g, key), Error, [](const Error& e) { return e.code() == errc::invalid_argument; });
    BOOST_TEST((t == before));
  };
  refused(token(), group, Secret::random(32));
  refused(token(), Secret::random(16), dek);
  dm::Token unnumbered = token();
  unnumbered.generation = 0;
  refused(unnumbered, group, dek);
}

BOOST_AUTO_TEST_SUITE_END()
