// Checks of PeerConformance (peer_cluster.hpp): KEKs that go over port 4007.
#define BOOST_TEST_DYN_LINK
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "agent/keys/box.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/peer_cluster.hpp"

namespace volcrypt::test {

namespace {

using keys::KekRecord;
using keys::KekStore;

// Refused by the other node, for this kind of cause.
auto refused_as(const std::string& kind) {
  return [kind](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return error.code() == errc::peer_refused && std::string(error.what()).find(kind + ": ") != std::string::npos;
  };
}

std::size_t held(PeerNode& node) {
  return node.with_keys([](KekStore& store) { return store.held().size(); });
}

void kek_goes_from_member_to_member_and_from_who_only_received_it(const tests::KekNodeMaker& maker) {
  PeerCluster cluster(maker, 3);
  const KekRecord record = cluster.create(0, 1);
  cluster.bring(0, 1, record);
  cluster.bring(0, 1, record);  // once more: it is proved again, and not sent again
  BOOST_TEST(cluster.same_group_key(0, 1, 1));
  cluster[0].stop();
  cluster.bring(1, 2, record);
  BOOST_TEST(held(cluster[2]) == 1U);
}

void kek_that_the_clusters_store_does_not_record_is_not_taken(const tests::KekNodeMaker& maker) {
  PeerCluster cluster(maker, 2);
  KekRecord made = cluster.create(0, 1);
  KekRecord other = made;
  other.trust_epoch = 2;
  cluster.record(other);
  BOOST_CHECK_EXCEPTION(cluster.bring(0, 1, made), Error, refused_as("wrong_generation"));
  const KekRecord own = cluster[0].with_keys([](KekStore& store) { return store.create(2); });
  BOOST_CHECK_EXCEPTION(cluster.bring(0, 1, own), Error, refused_as("wrong_generation"));
  BOOST_TEST(held(cluster[1]) == 0U);
  cluster.record(made);
  cluster.bring(0, 1, made);
}

void node_that_was_removed_is_neither_heard_nor_found(const tests::KekNodeMaker& maker) {
  PeerCluster cluster(maker, 2);
  const KekRecord record = cluster.create(1, 1);
  cluster.bring(1, 0, record);
  cluster.remove(1);
  const peer::Client client = cluster[1].client_of(cluster[0]);
  BOOST_CHECK_EXCEPTION(cluster[1].run(client.hello()), Error, refused_as("peer_refused"));
  BOOST_CHECK_EXCEPTION(cluster.bring(1, 0, record), Error, refused_as("peer_refused"));
  BOOST_TEST((cluster[0].roster()->by_node(cluster[1].entry().node) == nullptr));
}

// Offers and deliveries to node 1, step by step.
struct Steps {
  explicit Steps(const tests::KekNodeMaker& maker) : cluster(maker, 3) { cluster.bring(0, 2, record); }

  Bytes offer(std::size_t from, const KekRecord& offered) {
    return cluster[from].run(cluster[from].client_of(cluster[1]).offer({offered})).parcel_key;
  }
  Bytes offer(std::size_t from) { return offer(from, record); }
  void deliver(std::size_t from, const Bytes& parcel_key) {
    const cluster::MemberEntry& to = cluster[1].entry();
    const keys::Peer receiver{to.node, tpm ? to.tpm.storage_key : to.software.storage_key,
                              (tpm ? to.tpm_approvals : to.software_approvals).duplication_approvals};
    PeerNode& sender = cluster[from];
    peer::KekDelivery delivery;
    delivery.transfer = sender.with_keys([=, this](KekStore& store) { return store.duplicate_to(record, receiver); });
    const Bytes context = peer::parcel_context(sender.entry().node, record);
    if (tpm) delivery.parcel = keys::seal_box(parcel_key, context, delivery.transfer.inner_key);
    sender.run(sender.client_of(cluster[1]).deliver(std::move(delivery)));
  }

  PeerCluster cluster;
  const KekRecord record = cluster.create(0, 1);
  const bool tpm = record.protection == keys::Protection::tpm;
  const Bytes strange = keys::generate_p256().point;
};

void delivery_is_taken_once_and_from_who_offered_it(const tests::KekNodeMaker& maker) {
  Steps steps(maker);
  const auto nothing_offered = refused_as("wrong_state");
  BOOST_CHECK_EXCEPTION(steps.deliver(0, steps.strange), Error, nothing_offered);
  const Bytes first = steps.offer(0);
  BOOST_CHECK_EXCEPTION(steps.deliver(2, first), Error, nothing_offered);
  if (steps.tpm) {
    BOOST_CHECK_EXCEPTION(steps.deliver(0, steps.strange), Error, refused_as("wrong_key"));  // uses the offer up
    BOOST_CHECK_EXCEPTION(steps.deliver(0, first), Error, nothing_offered);
  }
  BOOST_TEST(held(steps.cluster[1]) == 0U);
  steps.deliver(0, steps.offer(0));
  BOOST_TEST(held(steps.cluster[1]) == 1U);
  BOOST_TEST(steps.offer(0).empty());
  BOOST_CHECK_EXCEPTION(steps.deliver(0, steps.strange), Error, nothing_offered);
}

// A member with defects or bad intentions costs a bounded memory, and its offers push out the oldest.
void of_too_many_offers_the_oldest_is_void_and_may_be_made_again(const tests::KekNodeMaker& maker) {
  Steps steps(maker);
  const auto offer_others = [&](int count) {
    KekRecord other = steps.record;
    for (int i = 0; i < count; ++i) {
      other.generation = static_cast<keys::Generation>(100 + i);
      steps.cluster.record(other);
      BOOST_TEST(!steps.offer(2, other).empty());
    }
  };
  const Bytes first = steps.offer(0);
  offer_others(16);
  BOOST_CHECK_EXCEPTION(steps.deliver(0, first), Error, refused_as("wrong_state"));
  const Bytes again = steps.offer(0);
  BOOST_TEST(again != first);
  offer_others(15);  // as many as are kept
  steps.deliver(0, again);
}

void hello_says_cluster_node_and_versions(const tests::KekNodeMaker& maker) {
  PeerCluster cluster(maker, 2);
  const peer::Hello hello = cluster[0].run(cluster[0].client_of(cluster[1]).hello());
  BOOST_TEST((hello.cluster == cluster.id));
  BOOST_TEST((hello.node == cluster[1].entry().node));
  BOOST_TEST(hello.version == "0.0.0");
}

struct Named {
  const char* name;
  void (*check)(const tests::KekNodeMaker&);
};
#define VOLCRYPT_CHECK(name) \
  Named { #name, name }  // the function's name is the sentence
constexpr Named checks[] = {
    VOLCRYPT_CHECK(hello_says_cluster_node_and_versions),
    VOLCRYPT_CHECK(kek_goes_from_member_to_member_and_from_who_only_received_it),
    VOLCRYPT_CHECK(kek_that_the_clusters_store_does_not_record_is_not_taken),
    VOLCRYPT_CHECK(node_that_was_removed_is_neither_heard_nor_found),
    VOLCRYPT_CHECK(delivery_is_taken_once_and_from_who_offered_it),
    VOLCRYPT_CHECK(of_too_many_offers_the_oldest_is_void_and_may_be_made_again),
};
#undef VOLCRYPT_CHECK

}  // namespace

PeerConformance::PeerConformance(const std::string& name, tests::KekNodeMaker maker) {
  namespace unit = boost::unit_test;
  auto* suite = BOOST_TEST_SUITE("peers_" + name);
  for (const Named& entry : checks) {
    const auto run = [check = entry.check, maker] { check(maker); };
    suite->add(unit::make_test_case(run, entry.name, __FILE__, __LINE__));
  }
  unit::framework::master_test_suite().add(suite);
}

}  // namespace volcrypt::test
