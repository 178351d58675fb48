// The checks of kek_conformance.hpp. Each makes its own node, cluster, authority and recovery key. What a disk or an
// attacker does to the files is in kek_replaced_files.cpp.
#define BOOST_TEST_DYN_LINK
#include "tests/support/kek_conformance.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "agent/keys/authority.hpp"
#include "agent/keys/dek_wrap.hpp"
#include "agent/keys/kek_files.hpp"
#include "agent/keys/recovery.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/kek_cluster.hpp"

namespace volcrypt::tests {

using namespace volcrypt::keys;

namespace {

void identity_stays_the_same_over_restarts(const KekNodeMaker& maker) {
  Cluster c(maker);
  c.reopen();
  const NodeIdentity again = c.store->identity(c.request());
  BOOST_TEST((again.protection == c.store->protection()));
  BOOST_TEST(again.storage_key == c.identity.storage_key);
  BOOST_TEST(again.attestation_key == c.identity.attestation_key);
  BOOST_TEST(again.endorsement_key == c.identity.endorsement_key);
  BOOST_TEST(!again.storage_key.empty());
  BOOST_TEST(!again.maker.empty());
}

void nothing_works_before_approvals_are_adopted(const KekNodeMaker& maker) {
  Cluster c(maker);
  BOOST_CHECK_EXCEPTION(c.store->create(1), Error, because(errc::wrong_state));
  BOOST_CHECK_EXCEPTION(c.store->group_keys(1, {Uuid::random()}), Error, because(errc::wrong_state));
  BOOST_TEST(c.store->held().empty());
}

void identity_for_another_cluster_is_refused_once_a_kek_was_made(const KekNodeMaker& maker) {
  Adopted c(maker);
  IdentityRequest other = c.request();
  other.cluster = Uuid::random();
  c.store->identity(other);  // of an init that came to nothing
  BOOST_CHECK_EXCEPTION(c.store->create(1), Error, because(errc::wrong_state));
  c.identity = c.store->identity(c.request());
  c.store->adopt(c.approve());
  c.store->create(1);
  BOOST_CHECK_EXCEPTION(c.store->identity(other), Error, because(errc::wrong_state));
  c.store->create(2);
}

void approvals_with_a_bad_signature_are_refused_and_change_nothing(const KekNodeMaker& maker) {
  Cluster c(maker);
  const auto refused = [&](const Approvals& approvals) {
    BOOST_CHECK_EXCEPTION(c.store->adopt(approvals), Error, because(errc::bad_signature));
  };
  const Approvals good = c.approve();
  Approvals bad = good;
  bad.recovery_approval.back() ^= 1;
  refused(bad);
  bad = good;
  bad.trust_epoch = 2;  // signed for epoch 1
  refused(bad);
  bad = good;
  bad.node = Uuid::random();
  refused(bad);
  bad = good;
  bad.cluster = Uuid::random();
  refused(bad);
  // A recovery key of somebody else, under the authority's signature for the right one.
  const AdminKey thief = AdminKey::generate(AdminKey::Purpose::recovery, c.cluster);
  bad = approve_node(c.authority,
                     {c.identity, c.node_id, 1, thief.public_point(), c.node->pcrs(), c.node->boot_state_digest()});
  bad.recovery_approval = good.recovery_approval;
  refused(bad);
  for (std::size_t state = 0; state < good.boot_states.size(); ++state) {
    bad = good;
    bad.boot_states[state].load.back() ^= 1;
    refused(bad);
    bad = good;
    std::swap(bad.boot_states[state].load, bad.boot_states[state].import);
    refused(bad);
  }
  BOOST_CHECK_EXCEPTION(c.store->create(1), Error, because(errc::wrong_state));
  c.store->adopt(good);
  c.store->create(1);
}

void approvals_of_another_authority_are_refused(const KekNodeMaker& maker) {
  Cluster c(maker);
  Approvals approvals = c.approve();
  // Consistent in itself: every signature is right, but under a key that this node's keys are not bound to.
  Cluster other(maker);
  approvals = other.approve();
  BOOST_CHECK_EXCEPTION(c.store->adopt(approvals), Error, because(errc::bad_signature));
}

void approvals_of_an_older_epoch_are_refused(const KekNodeMaker& maker) {
  Cluster c(maker);
  c.store->adopt(c.approve(5));
  c.store->adopt(c.approve(5));
  BOOST_CHECK_EXCEPTION(c.store->adopt(c.approve(4)), Error, because(errc::too_old));
  c.reopen();
  BOOST_CHECK_EXCEPTION(c.store->adopt(c.approve(4)), Error, because(errc::too_old));
  c.store->adopt(c.approve(6));
  BOOST_TEST(c.store->create(1).trust_epoch == 6U);
}

void created_kek_is_held_with_its_record_over_restarts(const KekNodeMaker& maker) {
  Adopted c(maker);
  const KekRecord first = c.store->create(1), second = c.store->create(2);
  BOOST_TEST(first.generation == 1U);
  BOOST_TEST((first.protection == c.store->protection()));
  BOOST_TEST(first.name.size() == 34U);
  BOOST_TEST(first.name != second.name);
  BOOST_TEST(first.trust_epoch == 1U);
  c.reopen();
  const std::vector<KekRecord> held = c.store->held();
  BOOST_REQUIRE_EQUAL(held.size(), 2U);
  BOOST_TEST(held[0].generation == 1U);
  BOOST_TEST(held[0].name == first.name);
  BOOST_TEST(held[0].public_area == first.public_area);
  BOOST_TEST(held[0].birth == first.birth);
  BOOST_TEST(held[1].name == second.name);
}

void number_is_never_used_twice(const KekNodeMaker& maker) {
  Adopted c(maker);
  const KekRecord record = c.store->create(3);
  BOOST_CHECK_EXCEPTION(c.store->create(3), Error, because(errc::already_exists));
  BOOST_TEST(c.store->held().front().name == record.name);
  c.store->destroy(3);
  c.reopen();
  BOOST_CHECK_EXCEPTION(c.store->create(3), Error, because(errc::already_exists));
  BOOST_CHECK_EXCEPTION(c.store->create(0), Error, because(errc::invalid_argument));
  c.store->create(4);
  c.store->create(5);
  c.store->destroy(5);
  c.store->destroy(4);  // a lower number after a higher one
  for (const Generation used : {4, 5}) {
    BOOST_CHECK_EXCEPTION(c.store->create(used), Error, because(errc::already_exists));
  }
  c.store->create(6);
}

void group_keys_are_stable_over_restarts_and_locks(const KekNodeMaker& maker) {
  Adopted c(maker);
  c.store->create(1);
  const std::vector<Uuid> groups{Uuid::random(), Uuid::random(), Uuid::random()};
  const std::vector<Secret> before = c.store->group_keys(1, groups);
  c.store->lock();
  const std::vector<Secret> locked = c.store->group_keys(1, groups);
  c.reopen();
  const std::vector<Secret> after = c.store->group_keys(1, groups);
  for (std::size_t at = 0; at < groups.size(); ++at) {
    BOOST_TEST(before.at(at).size() == 32U);
    BOOST_TEST(equals(before.at(at), locked.at(at)));
    BOOST_TEST(equals(before.at(at), after.at(at)));
  }
}

void group_keys_differ_by_group_and_generation(const KekNodeMaker& maker) {
  Adopted c(maker);
  c.store->create(1);
  c.store->create(2);
  const Uuid group = Uuid::random();
  BOOST_TEST(!equals(c.group_key(1, group), c.group_key(1, Uuid::random())));
  BOOST_TEST(!equals(c.group_key(1, group), c.group_key(2, group)));
  BOOST_TEST(c.store->group_keys(1, {}).empty());
}

void proof_depends_on_the_nonce_and_is_no_group_key(const KekNodeMaker& maker) {
  Adopted c(maker);
  const KekRecord record = c.store->create(1);
  Digest nonce{}, other{};
  other.fill(0x0a);
  const Digest proof = c.store->prove(record, nonce);
  c.reopen();
  BOOST_TEST(c.store->prove(record, nonce) == proof);
  BOOST_TEST(c.store->prove(record, other) != proof);
}

void generation_that_is_not_held_is_named(const KekNodeMaker& maker) {
  Adopted c(maker);
  const KekRecord record = c.store->create(1);
  BOOST_CHECK_EXCEPTION(c.store->group_keys(2, {Uuid::random()}), Error, because(errc::wrong_generation));
  KekRecord missing = record;
  missing.generation = 2;
  BOOST_CHECK_EXCEPTION(c.store->prove(missing, Digest{}), Error, because(errc::wrong_generation));
  BOOST_CHECK_EXCEPTION(c.store->duplicate_to_recovery(missing), Error, because(errc::wrong_generation));
}

void destroyed_generation_is_gone_and_the_others_stay(const KekNodeMaker& maker) {
  Adopted c(maker);
  c.store->create(1);
  c.store->create(2);
  const Uuid group = Uuid::random();
  const Secret kept = c.group_key(2, group);
  c.group_key(1, group);
  c.store->destroy(1);
  BOOST_CHECK_EXCEPTION(c.group_key(1, group), Error, because(errc::wrong_generation));
  c.store->destroy(1);
  c.store->destroy(7);
  c.reopen();
  BOOST_CHECK_EXCEPTION(c.group_key(1, group), Error, because(errc::wrong_generation));
  BOOST_TEST(equals(c.group_key(2, group), kept));
  BOOST_TEST(c.store->held().size() == 1U);
}

void recovery_key_opens_the_kek_and_gives_the_same_group_key(const KekNodeMaker& maker) {
  Adopted c(maker);
  const KekRecord record = c.store->create(1);
  const RecoveryBlob blob = c.store->duplicate_to_recovery(record);
  BOOST_TEST(blob.name == record.name);
  const RecoveryBundle bundle = parse_recovery_bundle(to_json(RecoveryBundle{c.cluster, {blob}}));
  const RecoveredKek kek = RecoveredKek::open(bundle.blobs.front(), c.recovery, bundle.cluster);
  const Uuid group = Uuid::random();
  BOOST_TEST(kek.generation() == 1U);
  BOOST_TEST(equals(kek.group_key(c.cluster, group), c.group_key(1, group)));
  const AdminKey other = AdminKey::generate(AdminKey::Purpose::recovery, c.cluster);
  BOOST_CHECK_EXCEPTION(RecoveredKek::open(blob, other, c.cluster), Error, because(errc::wrong_key));
}

void volume_key_wrapped_here_opens_here_and_by_recovery(const KekNodeMaker& maker) {
  Adopted c(maker);
  const KekRecord record = c.store->create(1);
  dm::Token token;
  token.cluster = c.cluster, token.group = Uuid::random(), token.volume = Uuid::random();
  token.name = "data1", token.generation = 1;
  const Secret dek = Secret::random(volume_key_size);
  wrap(token, c.group_key(1, token.group), dek);
  c.reopen();
  BOOST_TEST(equals(unwrap(token, c.group_key(1, token.group)), dek));
  const RecoveredKek kek = RecoveredKek::open(c.store->duplicate_to_recovery(record), c.recovery, c.cluster);
  BOOST_TEST(equals(unwrap(token, kek.group_key(c.cluster, token.group)), dek));
}

void boot_state_is_approved_as_it_is_now(const KekNodeMaker& maker) {
  Adopted c(maker);
  const BootReport report = c.store->boot_report();
  BOOST_TEST(report.approved_now);
  BOOST_TEST(report.pcrs == c.node->pcrs());
  BOOST_TEST(report.digest_now == c.node->boot_state_digest());
}

struct Named {
  const char* name;
  void (*check)(const KekNodeMaker&);
};
#define VOLCRYPT_CHECK(name) \
  Named { #name, name }  // the function's name is the sentence
constexpr Named checks[] = {
    VOLCRYPT_CHECK(identity_stays_the_same_over_restarts),
    VOLCRYPT_CHECK(nothing_works_before_approvals_are_adopted),
    VOLCRYPT_CHECK(identity_for_another_cluster_is_refused_once_a_kek_was_made),
    VOLCRYPT_CHECK(approvals_with_a_bad_signature_are_refused_and_change_nothing),
    VOLCRYPT_CHECK(approvals_of_another_authority_are_refused),
    VOLCRYPT_CHECK(approvals_of_an_older_epoch_are_refused),
    VOLCRYPT_CHECK(created_kek_is_held_with_its_record_over_restarts),
    VOLCRYPT_CHECK(number_is_never_used_twice),
    VOLCRYPT_CHECK(group_keys_are_stable_over_restarts_and_locks),
    VOLCRYPT_CHECK(group_keys_differ_by_group_and_generation),
    VOLCRYPT_CHECK(proof_depends_on_the_nonce_and_is_no_group_key),
    VOLCRYPT_CHECK(record_with_another_name_is_an_impostor),
    VOLCRYPT_CHECK(generation_that_is_not_held_is_named),
    VOLCRYPT_CHECK(destroyed_generation_is_gone_and_the_others_stay),
    VOLCRYPT_CHECK(recovery_key_opens_the_kek_and_gives_the_same_group_key),
    VOLCRYPT_CHECK(volume_key_wrapped_here_opens_here_and_by_recovery),
    VOLCRYPT_CHECK(blob_cut_or_changed_at_any_byte_is_refused_and_breaks_nothing_else),
    VOLCRYPT_CHECK(blob_of_another_generation_under_this_number_is_refused),
    VOLCRYPT_CHECK(generation_whose_proof_found_an_impostor_is_refused_until_a_proof_succeeds),
    VOLCRYPT_CHECK(one_damaged_file_changes_nothing_and_two_are_told),
    VOLCRYPT_CHECK(proved_group_keys_are_those_of_the_recorded_kek_alone),
    VOLCRYPT_CHECK(boot_state_is_approved_as_it_is_now),
    VOLCRYPT_CHECK(kek_travels_to_a_member_which_proves_it_and_seeds_the_next),
    VOLCRYPT_CHECK(kek_goes_to_no_node_that_the_authority_did_not_approve_for_its_epoch),
    VOLCRYPT_CHECK(kek_of_an_older_epoch_goes_to_who_is_approved_for_that),
    VOLCRYPT_CHECK(kek_that_arrives_twice_is_one_and_another_of_its_number_is_refused),
    VOLCRYPT_CHECK(kek_for_another_node_or_altered_anywhere_is_refused_and_leaves_nothing),
    VOLCRYPT_CHECK(kek_of_another_cluster_is_refused),
    VOLCRYPT_CHECK(kek_that_is_not_the_recorded_one_is_not_sent),
    VOLCRYPT_CHECK(node_proves_the_keys_it_claims),
    VOLCRYPT_CHECK(proof_for_another_question_node_or_key_is_refused),
    VOLCRYPT_CHECK(proof_or_question_that_was_altered_anywhere_is_refused),
};
#undef VOLCRYPT_CHECK

}  // namespace

KekConformance::KekConformance(const std::string& name, KekNodeMaker maker) {
  namespace unit = boost::unit_test;
  auto* suite = BOOST_TEST_SUITE("kek_store_" + name);
  for (const Named& entry : checks) {
    const auto run = [check = entry.check, maker] { check(maker); };
    suite->add(unit::make_test_case(run, entry.name, __FILE__, __LINE__));
  }
  unit::framework::master_test_suite().add(suite);
}

}  // namespace volcrypt::tests
