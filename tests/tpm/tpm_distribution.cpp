// A KEK on its way from TPM to TPM, with an interposer on both buses: nothing of it in the traffic, no fault that
// leaves half of it, no KEK that was born outside of the members' TPMs. What both kinds of store must do is in the
// conformance suite (tests/support/kek_travels.cpp).
#define BOOST_TEST_DYN_LINK
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "agent/keys/tpm/boot_state.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "agent/keys/tpm_duplicate.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/tcti_proxy.hpp"
#include "tests/tpm/tpm_fixture.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
using volcrypt::test::Administrator;
using volcrypt::test::Fault;
using volcrypt::test::StoreFixture;
using volcrypt::test::Swtpm;
using volcrypt::test::TctiProxy;

namespace {

auto because(errc cause) {
  return [cause](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return error.code() == cause;
  };
}

// One more node of the administrator's cluster, whose store reaches its TPM through a proxy.
struct Receiver {
  explicit Receiver(Administrator& administrator) : proxy(swtpm.socket()) {
    std::swap(administrator.node, id);
    store = open();
    identity = store->identity(administrator.request());
    approvals = administrator.approve(identity.storage_key, {7}, pcr_digest());
    std::swap(administrator.node, id);
    store->adopt(approvals);
  }
  std::unique_ptr<TpmKekStore> open() const {
    TpmStoreOptions options;
    options.tcti = proxy.tcti();
    options.directory = directory.path / "keys";
    return std::make_unique<TpmKekStore>(options);
  }
  Bytes pcr_digest() const { return tpm::read_boot_state(tpm::TpmContext(swtpm.tcti()).esys(), {7}).digest_now; }
  Peer peer() const { return {id, identity.storage_key, approvals.duplication_approvals}; }

  Swtpm swtpm;
  test::TemporaryDirectory directory;
  TctiProxy proxy;
  Uuid id = Uuid::random();
  std::unique_ptr<TpmKekStore> store;
  NodeIdentity identity;
  Approvals approvals;
};

// A node that made generation 1, its bus tapped, and another that is to receive it.
struct TwoNodes : StoreFixture {
  TwoNodes() : proxy(swtpm.socket()), receiver(administrator) {
    tcti = proxy.tcti();
    restart();
    record = store->create(1);
  }
  std::vector<Bytes> makers() const { return {receiver.identity.attestation_key, identity.attestation_key}; }

  TctiProxy proxy;
  Receiver receiver;
  KekRecord record;
};

std::size_t commands(const std::vector<TctiProxy::Exchange>& traffic, TPM2_CC command) {
  return static_cast<std::size_t>(
      std::count_if(traffic.begin(), traffic.end(), [&](const auto& e) { return e.command == command; }));
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(the_traffic_of_a_whole_distribution_holds_neither_the_kek_nor_what_opens_it, TwoNodes) {
  // The key itself, by a parent made in software that the authority approves for once: what recovery does.
  const P256Pair parent = generate_p256();
  const Bytes area = recovery_public_area(parent.point);
  const Peer outside{
      Uuid::random(),
      area,
      {{1, administrator.sign(policy_duplication_select(tpm_name(area)), kek_reference(administrator.cluster, 1))}}};
  const KekTransfer shown = store->duplicate_to(record, outside);
  const OpenedDuplicate kek =
      open_duplicate({shown.duplicate, shown.seed, record.name}, parent.scalar, shown.inner_key);
  BOOST_REQUIRE_EQUAL(kek.key.size(), 32U);

  store->lock();
  proxy.take_traffic();
  receiver.proxy.take_traffic();
  const KekTransfer transfer = store->duplicate_to(record, receiver.peer());
  receiver.store->import(transfer, makers());
  const Digest nonce{7};
  BOOST_TEST(receiver.store->prove(record, nonce) == store->prove(record, nonce));
  const Uuid group = Uuid::random();
  const Secret key = std::move(receiver.store->group_keys(1, {group}).front());
  BOOST_TEST(equals(store->group_keys(1, {group}).front(), key));

  const auto sent = proxy.take_traffic(), received = receiver.proxy.take_traffic();
  BOOST_TEST(commands(sent, TPM2_CC_Duplicate) == 1U);
  BOOST_TEST(commands(received, TPM2_CC_Import) == 1U);
  for (const auto* traffic : {&sent, &received}) {
    for (const Secret* secret : {&kek.key, &kek.seed_value, &transfer.inner_key, &key}) {
      BOOST_TEST(test::appearances(*traffic, secret->view()) == 0U);
      BOOST_TEST(test::appearances(*traffic, secret->view().first(16)) == 0U);
    }
  }
  // The same search finds what is no secret.
  BOOST_TEST(test::appearances(sent, transfer.seed) == 1U);
  BOOST_TEST(test::appearances(received, transfer.seed) == 1U);
  // Nor does the blob, which may lie in a database, hold it in clear.
  BOOST_TEST(!test::contains(transfer.duplicate, kek.key.view()));
}

BOOST_FIXTURE_TEST_CASE(a_kek_that_no_member_s_tpm_bore_is_an_impostor, TwoNodes) {
  const KekTransfer transfer = store->duplicate_to(record, receiver.peer());
  const Receiver stranger(administrator);  // a TPM of this cluster's form that is no member any more
  for (const std::vector<Bytes>& members : std::vector<std::vector<Bytes>>{
           {}, {{}}, {receiver.identity.attestation_key}, {stranger.identity.attestation_key, {}}}) {
    BOOST_CHECK_EXCEPTION(receiver.store->import(transfer, members), Error, because(errc::impostor_kek));
  }
  // Made in software, with every attribute right and the certificate of the true one.
  const P256Pair thief = generate_p256();
  KekTransfer forged = store->duplicate_to(record, receiver.peer());
  const Bytes authority = tpm_name(authority_public_area(administrator.authority.point));
  forged.record.public_area =
      kek_public_area(sha256(thief.scalar.view()), kek_policy(authority, administrator.cluster, 1));
  forged.record.name = tpm_name(forged.record.public_area);
  BOOST_CHECK_EXCEPTION(receiver.store->import(forged, makers()), Error, because(errc::impostor_kek));
  BOOST_TEST(receiver.store->kept().empty());
  receiver.store->import(transfer, makers());
}

BOOST_FIXTURE_TEST_CASE(a_sealed_out_node_takes_no_kek_until_its_boot_state_is_approved, TwoNodes) {
  const KekTransfer transfer = store->duplicate_to(record, receiver.peer());
  receiver.swtpm.extend_pcr(7, "another firmware");
  BOOST_CHECK_EXCEPTION(receiver.store->import(transfer, makers()), Error, because(errc::sealed_out));
  BOOST_TEST(receiver.store->kept().empty());
  const Uuid own = administrator.node;
  administrator.node = receiver.id;
  receiver.approvals.boot_states.push_back(administrator.boot_state({7}, receiver.pcr_digest()));
  administrator.node = own;
  receiver.store->adopt(receiver.approvals);
  receiver.store->import(transfer, makers());
  BOOST_TEST(receiver.store->prove(record, {}) == store->prove(record, {}));
}

BOOST_FIXTURE_TEST_CASE(a_fault_at_every_command_of_a_distribution_leaves_the_kek_whole_or_absent, TwoNodes) {
  Generation next = 2;
  for (const Fault fault :
       {Fault::busy, Fault::yielded, Fault::shortened, Fault::cut, Fault::closed, Fault::lost, Fault::flipped}) {
    const bool is_waited_out = fault == Fault::busy || fault == Fault::yielded;
    unsigned refused = 0;
    for (TctiProxy* harmed : {&proxy, &receiver.proxy}) {
      const KekRecord fresh = store->create(next++);
      for (unsigned step = 0;; ++step) {
        BOOST_REQUIRE(step < 200U);
        harmed->order({fault, 0, step, 1, 11 + 3 * step});
        try {
          receiver.store->import(store->duplicate_to(fresh, receiver.peer()), makers());
        } catch (const Error& error) {
          BOOST_TEST_MESSAGE(error.what());
          ++refused;
        }
        const bool was_harmed = harmed->harmed() > 0;
        harmed->order({});
        const auto kept = receiver.store->kept();
        const bool present = std::ranges::find(kept, fresh.generation) != kept.end();
        if (present) {  // the rest would ask the TPM nothing
          BOOST_TEST(receiver.store->prove(fresh, {}) == store->prove(fresh, {}));
          std::filesystem::remove(receiver.directory.path / "keys" / ("kek-" + std::to_string(fresh.generation)));
          std::filesystem::remove(receiver.directory.path / "keys" /
                                  ("kek-" + std::to_string(fresh.generation) + ".copy"));
        }
        BOOST_TEST((present || was_harmed));
        if (!was_harmed) break;
      }
    }
    BOOST_TEST((is_waited_out ? refused == 0U : refused > 10U), refused);
  }
  for (const auto& [tpm, keys] : {std::pair{&swtpm, store.get()}, std::pair{&receiver.swtpm, receiver.store.get()}}) {
    keys->lock();
    const tpm::TpmContext context(tpm->tcti());
    BOOST_TEST(tpm::handles_of(context.esys(), TPM2_TRANSIENT_FIRST).empty());
    BOOST_TEST(tpm::handles_of(context.esys(), TPM2_LOADED_SESSION_FIRST).empty());
  }
}

// The kernel's resource manager gives an open file three objects, of which the storage key needs one.
BOOST_FIXTURE_TEST_CASE(neither_end_takes_more_than_two_objects_and_two_sessions, TwoNodes) {
  std::size_t objects = 0, sessions = 0;
  for (const auto& [tpm, tap] : {std::pair{&swtpm, &proxy}, std::pair{&receiver.swtpm, &receiver.proxy}}) {
    tap->before(0, 100'000, [&objects, &sessions, tpm = tpm] {
      const tpm::TpmContext context(tpm->tcti());
      objects = std::max(objects, tpm::handles_of(context.esys(), TPM2_TRANSIENT_FIRST).size());
      sessions = std::max(sessions, tpm::handles_of(context.esys(), TPM2_LOADED_SESSION_FIRST).size());
    });
  }
  receiver.store->import(store->duplicate_to(record, receiver.peer()), makers());
  receiver.store->prove(record, {});
  for (TctiProxy* tap : {&proxy, &receiver.proxy}) tap->before(0, 0, {});
  BOOST_TEST(objects == 2U);
  BOOST_TEST(sessions == 2U);
}
