// Recovery: blobs made by other code as a TPM makes them, every change refused, the bundle's strict parser.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>

#include "agent/keys/recovery.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/vectors.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;

namespace {

auto because(errc cause) {
  return [cause](const Error& e) { return e.code() == cause; };
}

std::string content(const char* file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The recovery key of the vectors, opened once: half a second of scrypt.
const AdminKey& recovery_key() {
  static const AdminKey key = AdminKey::open(VOLCRYPT_TEST_DATA "/keys_recovery_key.json",
                                             Secret::copy_of(tests::Vectors("keys_admin.json").hex("passphrase")));
  return key;
}

struct Fixture {
  std::string text = content(VOLCRYPT_TEST_DATA "/keys_recovery_bundle.json");
  RecoveryBundle bundle = parse_recovery_bundle(text);
  tests::Vectors v{"keys_recovery.json"};
  Uuid group = Uuid::parse(v.text("group"));

  std::string compact() const { return to_json(bundle); }
  std::string changed(std::string_view from, std::string_view to) const {
    std::string copy = compact();
    const auto at = copy.find(from);
    BOOST_REQUIRE(at != std::string::npos);
    return copy.replace(at, from.size(), to);
  }
  void refused(const RecoveryBlob& blob) const {
    BOOST_CHECK_EXCEPTION(RecoveredKek::open(blob, recovery_key(), bundle.cluster), Error, because(errc::wrong_key));
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(recovery, Fixture)

BOOST_AUTO_TEST_CASE(blobs_of_a_tpm_and_of_software_open_to_the_right_group_keys) {
  BOOST_REQUIRE_EQUAL(bundle.blobs.size(), v.list("group_keys").size());
  for (std::size_t at = 0; at < bundle.blobs.size(); ++at) {
    const RecoveredKek kek = RecoveredKek::open(bundle.blobs[at], recovery_key(), bundle.cluster);
    const boost::json::string& hex = v.list("group_keys").at(at).as_string();
    BOOST_TEST(equals(kek.group_key(bundle.cluster, group), Secret::copy_of(from_hex({hex.data(), hex.size()}))));
    BOOST_TEST(kek.generation() == at + 1);
  }
}

BOOST_AUTO_TEST_CASE(every_byte_of_every_part_is_checked) {
  for (const RecoveryBlob& good : {bundle.blobs[1], bundle.blobs[3]}) {
    for (Bytes RecoveryBlob::*part : {&RecoveryBlob::name, &RecoveryBlob::duplicate, &RecoveryBlob::public_area,
                                      &RecoveryBlob::seed, &RecoveryBlob::inner_key}) {
      for (std::size_t at = 0; at < (good.*part).size(); ++at) {
        RecoveryBlob blob = good;
        (blob.*part)[at] ^= 0x01;
        refused(blob);
        (blob.*part).resize(at);
        refused(blob);
      }
    }
    RecoveryBlob blob = good;
    blob.generation += 1;
    refused(blob);
  }
}

BOOST_AUTO_TEST_CASE(parts_of_two_generations_do_not_mix) {
  for (Bytes RecoveryBlob::*part : {&RecoveryBlob::name, &RecoveryBlob::duplicate, &RecoveryBlob::public_area,
                                    &RecoveryBlob::seed, &RecoveryBlob::inner_key}) {
    RecoveryBlob blob = bundle.blobs[1];
    blob.*part = bundle.blobs[2].*part;
    refused(blob);
  }
}

BOOST_AUTO_TEST_CASE(wrong_admin_key_or_cluster_is_named) {
  const RecoveryBlob& blob = bundle.blobs[0];
  const AdminKey other = AdminKey::generate(AdminKey::Purpose::recovery, bundle.cluster);
  BOOST_CHECK_EXCEPTION(RecoveredKek::open(blob, other, bundle.cluster), Error, because(errc::wrong_key));
  const AdminKey authority = AdminKey::generate(AdminKey::Purpose::authority, bundle.cluster);
  BOOST_CHECK_EXCEPTION(RecoveredKek::open(blob, authority, bundle.cluster), Error, because(errc::invalid_argument));
  BOOST_CHECK_EXCEPTION(RecoveredKek::open(blob, recovery_key(), Uuid::random()), Error, because(errc::wrong_cluster));
}

BOOST_AUTO_TEST_CASE(bundle_is_written_and_read_as_the_same) {
  BOOST_TEST(to_json(parse_recovery_bundle(compact())) == compact());
  BOOST_TEST(parse_recovery_bundle(to_json(RecoveryBundle{bundle.cluster, {}})).blobs.empty());
}

BOOST_AUTO_TEST_CASE(largest_bundle_of_tpm_blobs_is_within_its_own_limits) {
  RecoveryBundle large{bundle.cluster, {}};
  for (Generation g = 1; g <= 1024; ++g) {
    large.blobs.push_back(bundle.blobs[1]);
    large.blobs.back().generation = (1ULL << 40) + g;
  }
  BOOST_TEST(parse_recovery_bundle(to_json(large)).blobs.size() == 1024U);
  large.blobs.push_back(large.blobs.front());
  BOOST_CHECK_EXCEPTION(to_json(large), Error, because(errc::limit_exceeded));
}

BOOST_AUTO_TEST_CASE(malformed_bundles_are_refused) {
  BOOST_CHECK_EXCEPTION(parse_recovery_bundle(changed("\"version\":1", "\"version\":9")), Error,
                        because(errc::token_version));
  for (const std::string& bad :
       {changed("\"generation\":\"2\"", "\"generation\":\"1\""),
        changed("\"generation\":\"2\"", "\"generation\":\"0\""),
        changed("\"generation\":\"2\"", "\"generation\":\"02\""), changed("\"tpm\"", "\"none\""),
        changed("\"name\":\"", "\"name\":\"AAAA"), changed("\"seed\"", "\"sead\""),
        changed("\"blobs\":[", "\"blobs\":[1,"), changed("\"cluster\":\"6f", "\"cluster\":\"6F"),
        changed("volcrypt recovery bundle", "recovery bundle"), changed("\"version\":1", "\"version\":1,\"version\":1"),
        compact() + "}", std::string(), std::string("[]"), std::string(1024 * 1024 + 1, ' ')}) {
    BOOST_CHECK_EXCEPTION(parse_recovery_bundle(bad), Error, because(errc::token_malformed));
  }
  const std::string good = compact();
  for (std::size_t size = 0; size + 2 < good.size(); size += 7) {
    BOOST_CHECK_EXCEPTION(parse_recovery_bundle(good.substr(0, size)), Error, because(errc::token_malformed));
  }
}

BOOST_AUTO_TEST_SUITE_END()
