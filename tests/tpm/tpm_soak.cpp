// Ten thousand unwraps on one TPM, and beside another user of it: nothing is left in its slots, nothing grows.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "tests/tpm/tpm_fixture.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
using volcrypt::test::StoreFixture;

namespace {

struct Counts {
  std::size_t transient, loaded, saved;
  bool operator==(const Counts&) const = default;
};

Counts counts(const StoreFixture& node) {
  const tpm::TpmContext context(node.swtpm.tcti());
  return {tpm::handles_of(context.esys(), TPM2_TRANSIENT_FIRST).size(),
          tpm::handles_of(context.esys(), TPM2_LOADED_SESSION_FIRST).size(),
          tpm::handles_of(context.esys(), TPM2_ACTIVE_SESSION_FIRST).size()};
}

std::size_t resident_pages() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident;
}

}  // namespace

BOOST_AUTO_TEST_CASE(objects_sessions_and_memory_stay_constant_over_ten_thousand_unwraps) {
  // keylime#656, clevis#98: a leaked session or object breaks the TPM much later.
  StoreFixture node;
  node.store->create(1);
  const Uuid group = Uuid::random();
  const Secret key = std::move(node.store->group_keys(1, {group}).front());
  const Counts before = counts(node);
  BOOST_TEST((before == Counts{1, 0, 0}));
  const std::vector<Uuid> batch(115, group);
  std::size_t unwraps = 0;
  [[maybe_unused]] std::size_t pages = 0;
  for (int round = 0; round < 80; ++round) {
    for (const Secret& one : node.store->group_keys(1, batch)) BOOST_REQUIRE(equals(one, key));
    for (int single = 0; single < 10; ++single) {
      BOOST_REQUIRE(equals(node.store->group_keys(1, {group}).front(), key));
    }
    unwraps += 125;
    BOOST_REQUIRE((counts(node) == before));
    if (round == 20) pages = resident_pages();  // by then every cache has its size
    if (round % 10 == 9) node.store->lock();    // and loaded afresh
  }
  BOOST_TEST(unwraps == 10000U);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their own memory grows meanwhile
  BOOST_TEST(resident_pages() < pages + 512U);                       // 2 MiB
#endif
  node.store->lock();
  BOOST_TEST((counts(node) == Counts{0, 0, 0}));
}

BOOST_AUTO_TEST_CASE(another_user_of_the_tpm_and_the_store_do_not_disturb_each_other) {
  StoreFixture node;
  node.store->create(1);
  const Uuid group = Uuid::random();
  const Secret key = std::move(node.store->group_keys(1, {group}).front());
  const tpm::TpmContext other(node.swtpm.tcti());
  const tpm::Primary object =
      tpm::make_storage_primary(other.esys(), tpm::StorageAlgorithm::ecc_p256, test::Administrator().storage_policy());
  for (int round = 0; round < 20; ++round) {
    BOOST_TEST(equals(node.store->group_keys(1, {group}).front(), key));
    const TSS2_RC alive = Esys_ReadPublic(other.esys(), object.object.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                          nullptr, nullptr, nullptr);
    BOOST_TEST(alive == TSS2_RC_SUCCESS);
    if (round % 5 == 4) node.store->lock();
  }
}
