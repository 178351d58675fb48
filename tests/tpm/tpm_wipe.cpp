// After a group key's Secret has ended, no half of it is left in the process: not in the TPM library's buffers, not in
// freed heap blocks, not on the stack.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/support/process_memory.hpp"
#include "tests/tpm/tpm_fixture.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;

BOOST_AUTO_TEST_CASE(no_half_of_a_group_key_is_left_in_memory_once_its_secret_ended) {
  test::StoreFixture node;
  node.store->create(1);
  for (const auto route : {tpm::HmacRoute::direct, tpm::HmacRoute::sequence}) {
    TpmStoreOptions options = node.options();
    options.route = route;
    node.store = std::make_unique<TpmKekStore>(options);
    std::vector<Uuid> groups(5);
    for (Uuid& group : groups) group = Uuid::random();
    std::vector<std::pair<Secret, Secret>> halves;
    for (const Secret& key : node.store->group_keys(1, groups)) {
      halves.emplace_back(Secret::copy_of(key.view().first(16)), Secret::copy_of(key.view().last(16)));
    }
    for (const auto& [first, second] : halves) {  // the store stays open: so does the library's context
      BOOST_TEST(tests::find_in_memory(first).empty());
      BOOST_TEST(tests::find_in_memory(second).empty());
    }
    const Bytes careless(halves[0].first.data(), halves[0].first.data() + 16);
    BOOST_TEST(tests::find_in_memory(halves[0].first).size() == 1U);  // the search finds what is left
  }
}
