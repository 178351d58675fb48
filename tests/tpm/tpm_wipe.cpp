// After a group key's Secret has ended, no half of it is left in the process: not in the TPM library's buffers, not in
// freed heap blocks, not on the stack.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/support/memory_search.hpp"
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
    std::vector<tests::Needle> needles;  // each looks for either half of its key
    Bytes careless;
    for (const Secret& key : node.store->group_keys(1, groups)) {
      needles.emplace_back("group key", key.view());
      if (careless.empty()) careless.assign(key.view().begin(), key.view().begin() + 16);
    }
    BOOST_TEST(!needles.front().find_in_own_memory().empty());  // the search finds what is left
    wipe(careless);
    wipe_registers();
    for (const tests::Needle& needle : needles) {  // the store stays open: so does the library's context
      for (const std::string& place : needle.find_in_own_memory()) BOOST_ERROR("left in memory: " + place);
    }
  }
}
