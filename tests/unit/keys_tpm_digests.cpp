// Public areas, Names and policy digests against vectors computed by other code (tests/data/keys_vectors.py).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/keys/p256.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/vectors.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;

namespace {

Digest digest(const Bytes& bytes) {
  Digest out{};
  BOOST_REQUIRE_EQUAL(bytes.size(), out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

struct Fixture {
  tests::Vectors v{"keys_tpm_digests.json"};
  Uuid cluster = Uuid::parse(v.text("cluster"));
  Uuid node = Uuid::parse(v.text("node"));
  Bytes authority_name = tpm_name(authority_public_area(v.hex("authority_point")));
  Digest policy = storage_policy(authority_name, cluster, node);

  // An endorsement key of the default ECC template, around some point.
  Bytes endorsement() const {
    Bytes area = storage_public_area(
        v.hex("storage_point"), digest(from_hex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")));
    area[6] = 0x00, area[7] = 0xB2;
    return area;
  }
  NodeIdentity identity() const {
    return {Protection::tpm, storage_public_area(v.hex("storage_point"), policy),
            attestation_public_area(v.hex("storage_point")), endorsement(), "test"};
  }
  void refused(const NodeIdentity& changed) const {
    BOOST_CHECK_EXCEPTION(require_approvable(changed, authority_name, cluster, node), Error,
                          [](const Error& e) { return e.code() == errc::tpm_unsuitable; });
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(tpm_digests, Fixture)

BOOST_AUTO_TEST_CASE(public_areas_are_marshalled_as_a_tpm_does) {
  BOOST_TEST(authority_public_area(v.hex("authority_point")) == v.hex("authority_area"));
  BOOST_TEST(recovery_public_area(v.hex("recovery_point")) == v.hex("recovery_area"));
  BOOST_TEST(storage_public_area(v.hex("storage_point"), policy) == v.hex("storage_area"));
  BOOST_TEST(storage_rsa_public_area(v.hex("modulus"), policy) == v.hex("storage_rsa_area"));
  BOOST_TEST(attestation_public_area(v.hex("storage_point")) == v.hex("attestation_area"));
  BOOST_TEST(kek_public_area(digest(v.hex("kek_unique")), kek_policy(authority_name, cluster, 7)) == v.hex("kek_area"));
}

BOOST_AUTO_TEST_CASE(names_are_the_hash_of_the_public_area) {
  BOOST_TEST(authority_name == v.hex("authority_name"));
  BOOST_TEST(tpm_name(v.hex("recovery_area")) == v.hex("recovery_name"));
}

BOOST_AUTO_TEST_CASE(references_and_authorized_policies_bind_cluster_epoch_and_node) {
  BOOST_TEST(kek_reference(cluster, 7) == digest(v.hex("kek_reference")));
  BOOST_TEST(node_reference(cluster, node) == digest(v.hex("node_reference")));
  BOOST_TEST(kek_policy(authority_name, cluster, 7) == digest(v.hex("kek_policy")));
  BOOST_TEST(policy == digest(v.hex("storage_policy")));
  BOOST_TEST(kek_reference(cluster, 8) != kek_reference(cluster, 7));
}

BOOST_AUTO_TEST_CASE(policy_naming_create_load_and_import_has_the_digest_seen_on_a_tpm) {
  const auto only = [](TpmCommand command) { return policy_command_code(policy_start, command); };
  BOOST_TEST(policy_or({only(TpmCommand::create), only(TpmCommand::load), only(TpmCommand::import)}) ==
             digest(v.hex("or_create_load_import")));
}

BOOST_AUTO_TEST_CASE(duplication_to_the_recovery_key_has_its_digest) {
  BOOST_TEST(policy_duplication_select(v.hex("recovery_name")) == digest(v.hex("duplicate_to_recovery")));
}

BOOST_AUTO_TEST_CASE(boot_states_bind_pcrs_before_the_command) {
  const Bytes seven = v.hex("pcr7_value"), fourteen = v.hex("pcr14_value");
  const auto bytes_of = [](const Digest& d) { return Bytes(d.begin(), d.end()); };
  BOOST_TEST(boot_state_policy({7}, bytes_of(pcr_digest_of({seven})), TpmCommand::load) == digest(v.hex("pcr_7_load")));
  BOOST_TEST(boot_state_policy({7, 14}, bytes_of(pcr_digest_of({seven, fourteen})), TpmCommand::create) ==
             digest(v.hex("pcr_7_14_create")));
  BOOST_TEST(boot_state_policy({}, {}, TpmCommand::import) == digest(v.hex("pcr_none_import")));
}

BOOST_AUTO_TEST_CASE(pcrs_out_of_order_twice_or_beyond_23_are_refused) {
  const Bytes some(32, 1);
  for (const std::vector<std::uint32_t>& pcrs : std::vector<std::vector<std::uint32_t>>{{7, 4}, {7, 7}, {24}, {}}) {
    BOOST_CHECK_THROW(boot_state_policy(pcrs, some, TpmCommand::load), Error);
  }
  BOOST_CHECK_THROW(boot_state_policy({7}, {}, TpmCommand::load), Error);
  BOOST_CHECK_THROW(boot_state_policy({7}, Bytes(31, 1), TpmCommand::load), Error);
}

BOOST_AUTO_TEST_CASE(recovery_point_is_read_back_from_its_area_and_from_nothing_else) {
  BOOST_TEST(recovery_point_of(v.hex("recovery_area")) == v.hex("recovery_point"));
  for (std::size_t at = 0; at < v.hex("recovery_area").size(); ++at) {
    Bytes changed = v.hex("recovery_area");
    changed[at] ^= 1;
    BOOST_CHECK_THROW(recovery_point_of(changed), Error);
  }
  BOOST_CHECK_THROW(recovery_point_of(v.hex("storage_area")), Error);
}

BOOST_AUTO_TEST_CASE(identity_of_the_exact_form_may_be_approved_with_an_ecc_or_an_rsa_storage_key) {
  BOOST_CHECK_NO_THROW(require_approvable(identity(), authority_name, cluster, node));
  NodeIdentity rsa = identity();
  rsa.storage_key = v.hex("storage_rsa_area");
  BOOST_CHECK_NO_THROW(require_approvable(rsa, authority_name, cluster, node));
}

BOOST_AUTO_TEST_CASE(identity_with_any_changed_bit_of_attributes_policy_or_scheme_is_refused) {
  const std::size_t head = identity().storage_key.size() - 68;  // all before the two coordinates
  for (std::size_t bit = 0; bit < head * 8; ++bit) {
    NodeIdentity changed = identity();
    changed.storage_key[bit / 8] ^= std::uint8_t(1U << (bit % 8));
    refused(changed);
  }
  for (Bytes NodeIdentity::*part : {&NodeIdentity::attestation_key, &NodeIdentity::endorsement_key}) {
    NodeIdentity changed = identity();
    (changed.*part)[7] ^= 0x10;  // restricted and its neighbours
    refused(changed);
    changed.*part = {};
    refused(changed);
  }
}

BOOST_AUTO_TEST_CASE(identity_bound_to_another_node_cluster_or_authority_is_refused) {
  const auto differs = [](const Error& e) { return e.code() == errc::tpm_unsuitable; };
  const Bytes other = tpm_name(authority_public_area(v.hex("storage_point")));
  BOOST_CHECK_EXCEPTION(require_approvable(identity(), authority_name, cluster, Uuid::random()), Error, differs);
  BOOST_CHECK_EXCEPTION(require_approvable(identity(), authority_name, Uuid::random(), node), Error, differs);
  BOOST_CHECK_EXCEPTION(require_approvable(identity(), other, cluster, node), Error, differs);
}

BOOST_AUTO_TEST_SUITE_END()
