// Checks of kek_conformance.hpp: KEKs that go from member to member. What a TPM refuses by itself, and what an impostor
// without a birth certificate meets, is in tests/tpm.
#define BOOST_TEST_DYN_LINK
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <functional>

#include "tests/support/kek_cluster.hpp"

namespace volcrypt::tests {

namespace {

// One more node of the cluster, with keys and approvals of its own.
struct Member {
  Member(const Cluster& cluster, const KekNodeMaker& maker, std::uint64_t epoch = 1,
         std::vector<std::uint64_t> older_epochs = {})
      : node(maker()), store(node->open()) {
    identity = store->identity({cluster.authority.public_der(), cluster.cluster, id});
    approvals = approve_node(cluster.authority, {identity, id, epoch, cluster.recovery.public_point(), node->pcrs(),
                                                 node->boot_state_digest(), std::move(older_epochs)});
    store->adopt(approvals);
  }
  Peer peer() const { return {id, identity.storage_key, approvals.duplication_approvals}; }
  Secret group_key(Generation generation, const Uuid& group) {
    return std::move(store->group_keys(generation, {group}).front());
  }
  void reopen() {
    store.reset();
    store = node->open();
  }

  Uuid id = Uuid::random();
  std::unique_ptr<KekNode> node;
  std::unique_ptr<KekStore> store;
  NodeIdentity identity;
  Approvals approvals;
};

const Digest nonce{1, 2, 3};

}  // namespace

void kek_travels_to_a_member_which_proves_it_and_seeds_the_next(const KekNodeMaker& maker) {
  Adopted a(maker);
  Member b(a, maker), c(a, maker);
  const std::vector<Bytes> makers{{}, c.identity.attestation_key, a.identity.attestation_key};
  const KekRecord record = a.store->create(1);
  const Digest proof = a.store->prove(record, nonce);
  const Uuid group = Uuid::random();
  const Secret key = a.group_key(1, group);

  b.store->import(a.store->duplicate_to(record, b.peer()), makers);
  b.reopen();  // what counts is what is stored
  BOOST_TEST(b.store->prove(record, nonce) == proof);
  BOOST_TEST(equals(b.group_key(1, group), key));
  BOOST_TEST(equals(b.store->proved_group_keys(record, {group}).front(), key));
  BOOST_REQUIRE_EQUAL(b.store->held().size(), 1U);
  BOOST_TEST(b.store->held().front().name == record.name);
  BOOST_TEST(b.store->held().front().birth == record.birth);

  // Who only received it can send it on, also when its maker is gone.
  a.store.reset();
  c.store->import(b.store->duplicate_to(record, c.peer()), makers);
  c.reopen();
  BOOST_TEST(c.store->prove(record, nonce) == proof);
  BOOST_TEST(equals(c.group_key(1, group), key));
  const RecoveryBlob blob = c.store->duplicate_to_recovery(record);
  BOOST_TEST(blob.name == record.name);
}

void kek_goes_to_no_node_that_the_authority_did_not_approve_for_its_epoch(const KekNodeMaker& maker) {
  Adopted a(maker);
  Member b(a, maker), c(a, maker), later(a, maker, 2);
  const KekRecord record = a.store->create(1);
  const auto refused = [&](const Peer& peer) {
    BOOST_CHECK_EXCEPTION(a.store->duplicate_to(record, peer), Error, because(errc::bad_signature));
  };
  refused({b.id, b.identity.storage_key, {}});
  refused({b.id, c.identity.storage_key, b.approvals.duplication_approvals});  // a key of somebody else
  refused(later.peer());                                                       // of a later epoch only
  Peer peer = b.peer();
  peer.duplication_approvals.front().signature.back() ^= 1;
  refused(peer);
  peer = later.peer();
  peer.duplication_approvals.front().trust_epoch = 1;  // signed for epoch 2
  refused(peer);
  BOOST_TEST(a.store->held().size() == 1U);
  a.store->duplicate_to(record, b.peer());
}

void kek_of_an_older_epoch_goes_to_who_is_approved_for_that(const KekNodeMaker& maker) {
  Adopted a(maker);
  const KekRecord old = a.store->create(1);
  a.store->adopt(a.approve(2));  // a member was removed
  const KekRecord current = a.store->create(2);
  BOOST_TEST(current.trust_epoch == 2U);
  Member newcomer(a, maker, 2, {1}), without(a, maker, 2);
  for (const KekRecord& record : {old, current}) {
    newcomer.store->import(a.store->duplicate_to(record, newcomer.peer()), {a.identity.attestation_key});
    BOOST_TEST(newcomer.store->prove(record, nonce) == a.store->prove(record, nonce));
  }
  BOOST_CHECK_EXCEPTION(a.store->duplicate_to(old, without.peer()), Error, because(errc::bad_signature));
  // Who was removed has no approval for what is made since.
  Member removed(a, maker, 1);
  BOOST_CHECK_EXCEPTION(a.store->duplicate_to(current, removed.peer()), Error, because(errc::bad_signature));
}

void kek_that_arrives_twice_is_one_and_another_of_its_number_is_refused(const KekNodeMaker& maker) {
  Adopted a(maker);
  Member b(a, maker), c(a, maker);
  const std::vector<Bytes> makers{a.identity.attestation_key, b.identity.attestation_key, c.identity.attestation_key};
  const KekRecord record = a.store->create(1);
  c.store->import(a.store->duplicate_to(record, c.peer()), makers);
  c.store->import(a.store->duplicate_to(record, c.peer()), makers);  // the answer to the first was lost
  BOOST_TEST(c.store->held().size() == 1U);
  const KekRecord other = b.store->create(1);  // a second coordinator, with the same number
  BOOST_CHECK_EXCEPTION(c.store->import(b.store->duplicate_to(other, c.peer()), makers), Error,
                        because(errc::already_exists));
  BOOST_TEST(c.store->prove(record, nonce) == a.store->prove(record, nonce));
  c.store->destroy(1);
  BOOST_CHECK_EXCEPTION(c.store->import(a.store->duplicate_to(record, c.peer()), makers), Error,
                        because(errc::already_exists));
  BOOST_TEST(c.store->kept().empty());
}

void kek_for_another_node_or_altered_anywhere_is_refused_and_leaves_nothing(const KekNodeMaker& maker) {
  Adopted a(maker);
  Member b(a, maker), c(a, maker);
  const std::vector<Bytes> makers{a.identity.attestation_key};
  const KekRecord record = a.store->create(1);
  const auto refused = [&](const KekTransfer& transfer) {
    BOOST_CHECK_EXCEPTION(b.store->import(transfer, makers), Error, [](const Error& error) {
      return error.code() == errc::wrong_key || error.code() == errc::impostor_kek;
    });
    BOOST_TEST(b.store->kept().empty());
  };
  const auto altered = [&](const std::function<void(KekTransfer&)>& change) {
    KekTransfer transfer = a.store->duplicate_to(record, b.peer());
    change(transfer);
    refused(transfer);
  };
  refused(a.store->duplicate_to(record, c.peer()));
  const KekTransfer sent = a.store->duplicate_to(record, b.peer());
  for (std::size_t at = 0; at < sent.duplicate.size(); at += 9) altered([&](KekTransfer& t) { t.duplicate[at] ^= 1; });
  for (std::size_t at = 0; at < sent.seed.size(); at += 9) altered([&](KekTransfer& t) { t.seed[at] ^= 1; });
  if (sent.inner_key.size() != 0) {
    altered([](KekTransfer& t) { t.inner_key.data()[0] ^= 1; });
    altered([](KekTransfer& t) { t.inner_key = Secret(0); });
    altered([](KekTransfer& t) { t.inner_key = Secret(16); });
  }
  altered([](KekTransfer& t) { t.inner_key = Secret(1000); });
  altered([](KekTransfer& t) { t.seed = Bytes(5000, 1); });
  altered([](KekTransfer& t) { t.duplicate.clear(); });
  altered([](KekTransfer& t) { t.duplicate.pop_back(); });
  altered([](KekTransfer& t) { t.duplicate = Bytes(5000, 1); });
  altered([](KekTransfer& t) { t.record.name.back() ^= 1; });
  altered([](KekTransfer& t) { t.record.name.clear(); });
  altered([](KekTransfer& t) { t.record.generation = 2; });
  altered([](KekTransfer& t) { t.record.trust_epoch = 2; });
  altered([](KekTransfer& t) { t.record.public_area.push_back(1); });
  altered([](KekTransfer& t) { t.record.birth.push_back(1); });
  altered([](KekTransfer& t) {
    t.record.protection = t.record.protection == Protection::tpm ? Protection::software : Protection::tpm;
  });
  // The very same node takes what nobody touched.
  b.store->import(sent, makers);
  BOOST_TEST(b.store->prove(record, nonce) == a.store->prove(record, nonce));
}

void kek_of_another_cluster_is_refused(const KekNodeMaker& maker) {
  Adopted a(maker), stranger(maker);
  Member b(a, maker);
  const KekRecord record = stranger.store->create(1);
  // Its administrators approve our node, too; our node does not ask them.
  const Approvals theirs = approve_node(
      a.authority, {b.identity, b.id, 1, a.recovery.public_point(), b.node->pcrs(), b.node->boot_state_digest()});
  BOOST_CHECK_EXCEPTION(
      stranger.store->duplicate_to(record, {b.id, b.identity.storage_key, theirs.duplication_approvals}), Error,
      because(errc::bad_signature));
  KekTransfer ours = a.store->duplicate_to(a.store->create(1), b.peer());
  ours.record = record;
  BOOST_CHECK_EXCEPTION(
      b.store->import(ours, {a.identity.attestation_key, stranger.identity.attestation_key}), Error,
      [](const Error& error) { return error.code() == errc::wrong_key || error.code() == errc::impostor_kek; });
  BOOST_TEST(b.store->kept().empty());
}

void kek_that_is_not_the_recorded_one_is_not_sent(const KekNodeMaker& maker) {
  Adopted a(maker);
  Member b(a, maker);
  KekRecord record = a.store->create(1);
  record.name.back() ^= 1;
  BOOST_CHECK_EXCEPTION(a.store->duplicate_to(record, b.peer()), Error, because(errc::impostor_kek));
  record.generation = 2;
  BOOST_CHECK_EXCEPTION(a.store->duplicate_to(record, b.peer()), Error, because(errc::wrong_generation));
}

}  // namespace volcrypt::tests
