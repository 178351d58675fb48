// How many of a TPM's slots a call of the KekStore takes at any moment. The kernel's resource manager gives an open
// file three objects and three sessions, of which a persistent key needs one object during a command.
#define BOOST_TEST_DYN_LINK
#include <malloc.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "agent/keys/tpm_digests.hpp"
#include "tests/support/tcti_proxy.hpp"
#include "tests/tpm/tpm_fixture.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
using volcrypt::test::StoreFixture;

namespace {

struct CountedNode : StoreFixture {
  CountedNode() : proxy(swtpm.socket()) {
    tcti = proxy.tcti();
    proxy.before(0, 100'000, [this] {  // what the commands before left
      const tpm::TpmContext context(swtpm.tcti());
      objects = std::max(objects, tpm::handles_of(context.esys(), TPM2_TRANSIENT_FIRST).size());
      sessions = std::max(sessions, tpm::handles_of(context.esys(), TPM2_LOADED_SESSION_FIRST).size());
    });
  }
  ~CountedNode() { store.reset(); }
  std::size_t objects = 0, sessions = 0;
  test::TctiProxy proxy;
};

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // with an allocator of their own
std::size_t heap_in_use() {
  const auto facts = mallinfo2();
  return facts.uordblks + facts.hblkhd;
}
#endif

}  // namespace

BOOST_AUTO_TEST_CASE(no_call_of_the_store_takes_more_than_two_objects_and_two_sessions) {
  CountedNode node;
  for (const auto route : {tpm::HmacRoute::direct, tpm::HmacRoute::sequence}) {
    const Generation generation = route == tpm::HmacRoute::direct ? 1 : 2;
    TpmStoreOptions options = node.options();
    options.route = route;
    node.store = std::make_unique<TpmKekStore>(options);
    node.store->identity(node.administrator.request());
    const KekRecord record = node.store->create(generation);
    node.store->duplicate_to_recovery(record);
    node.store->prove(record, {});
    node.store->group_keys(generation, {Uuid::random(), Uuid::random()});
    node.store->proved_group_keys(record, {Uuid::random()});
    node.store->boot_report();
    node.store->warnings();
  }
  BOOST_TEST(node.objects == 2U);
  BOOST_TEST(node.sessions == 2U);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// ESAPI keeps a kilobyte of each session until it is told of the session's end, also where the TPM ended it.
BOOST_AUTO_TEST_CASE(sessions_and_objects_that_have_ended_leave_nothing_on_the_heap) {
  constexpr std::size_t times = 100;
  for (const auto route : {tpm::HmacRoute::direct, tpm::HmacRoute::sequence}) {
    StoreFixture node;
    TpmStoreOptions options = node.options();
    options.route = route;
    node.store = std::make_unique<TpmKekStore>(options);
    const std::vector<Uuid> groups{Uuid::random(), Uuid::random()};
    const std::vector<KekRecord> records{node.store->create(1), node.store->create(2)};
    const auto use = [&](std::size_t rounds) {  // each loads the other KEK
      for (std::size_t i = 0; i < rounds; ++i) node.store->group_keys(1 + i % 2, groups);
      for (std::size_t i = 0; i < rounds; ++i) node.store->duplicate_to_recovery(records[i % 2]);
    };
    use(10);
    const std::size_t before = heap_in_use();
    use(times);
    BOOST_TEST(heap_in_use() < before + times * 100);
  }
}
#endif

BOOST_AUTO_TEST_CASE(what_is_kept_and_sent_has_the_known_sizes) {
  test::NodeFixture node;
  const tpm::NewKek made = tpm::create_kek(node.esys(), node.parent(), {});
  const auto kek = tpm::load_kek(node.esys(), node.parent(), made.blob, tpm_name(made.blob.public_area));
  const tpm::Duplicate duplicate = tpm::duplicate_kek(
      node.esys(), node.parent(), kek.get(), {node.approvals.recovery_public, 1, node.approvals.recovery_approval});
  BOOST_TEST(made.blob.private_area.size() == 158U);
  BOOST_TEST(duplicate.blob.size() == 174U);
  BOOST_TEST(duplicate.seed.size() == 68U);
  BOOST_TEST(duplicate.inner_key.size() == 32U);
}
