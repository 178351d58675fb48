// Somebody extends a PCR between our PolicyPCR and the command that uses it (IMA, a late measurement):
// TPM_RC_PCR_CHANGED. It costs nothing while the bound PCRs stay as they are, and is not told as another boot state.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/keys/tpm/tss_error.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/tcti_proxy.hpp"
#include "tests/tpm/tpm_fixture.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
using volcrypt::test::StoreFixture;
using volcrypt::test::TctiProxy;

namespace {

constexpr unsigned of_others = 14;  // extended by shim, bound by nobody here

struct WatchedNode : StoreFixture {
  WatchedNode() : proxy(swtpm.socket()) {
    tcti = proxy.tcti();
    restart();
    store->create(1);
    key = group_key();
    store->lock();
  }
  Secret group_key() { return std::move(store->group_keys(1, {group}).front()); }
  void extend_before(TPM2_CC command, unsigned pcr, unsigned times = 1) {
    extended = 0;
    proxy.before(command, times, [this, pcr] {
      swtpm.extend_pcr(pcr, "an event");
      ++extended;
    });
  }

  const Uuid group = Uuid::random();
  std::atomic<unsigned> extended = 0;
  TctiProxy proxy;
  Secret key = Secret(32);
};

bool sealed_out_by_pcr_7(const Error& error) {
  BOOST_TEST_MESSAGE(error.what());
  return error.code() == errc::sealed_out && std::string(error.what()).find("PCR 7 = ") != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_pcr_of_others_extended_before_load_and_create_costs_nothing) {
  WatchedNode node;
  for (const unsigned times : {1U, 2U, 4U}) {
    node.extend_before(TPM2_CC_Load, of_others, times);
    BOOST_TEST(equals(node.group_key(), node.key));
    BOOST_TEST(node.extended == times);
    node.store->lock();
  }
  node.extend_before(TPM2_CC_Create, of_others, 2);
  BOOST_CHECK_NO_THROW(node.store->create(2));
  BOOST_TEST(node.extended == 2U);
  BOOST_TEST(node.store->group_keys(2, {node.group}).size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_pcr_of_others_extended_before_import_costs_nothing) {
  test::NodeFixture node;
  const tpm::NewKek made = tpm::create_kek(node.esys(), node.parent(), {});
  const Bytes approval = node.administrator.sign(policy_duplication_select(tpm_name(node.key.public_area)),
                                                 kek_reference(node.administrator.cluster, 1));
  unsigned extended = 0;
  TctiProxy proxy(node.swtpm.socket());
  proxy.before(TPM2_CC_Import, 2, [&] {
    node.swtpm.extend_pcr(of_others, "an event");
    ++extended;
  });
  const tpm::TpmContext context(proxy.tcti());
  const tpm::OpenHandle storage = tpm::open_pinned(context.esys(), node.key);
  const tpm::Parent parent{storage.get(), node.approvals};
  const Bytes name = tpm_name(made.blob.public_area);
  tpm::Transient kek = tpm::load_kek(context.esys(), parent, made.blob, name);
  const tpm::Duplicate duplicate =
      tpm::duplicate_kek(context.esys(), parent, kek.get(), {node.key.public_area, 1, approval});
  kek.end();
  const tpm::KekBlob imported = tpm::import_kek(context.esys(), parent, made.blob.public_area, arrived(duplicate));
  BOOST_TEST(extended == 2U);
  BOOST_CHECK_NO_THROW(tpm::load_kek(context.esys(), parent, imported, name));
  BOOST_TEST(tpm::handles_of(context.esys(), TPM2_LOADED_SESSION_FIRST).empty());
}

BOOST_AUTO_TEST_CASE(pcrs_that_never_rest_are_told_as_that_and_the_next_call_works) {
  WatchedNode node;
  node.extend_before(TPM2_CC_Load, of_others, 1000);
  BOOST_CHECK_EXCEPTION(node.group_key(), Error, [](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return error.code().category() == tpm::tss_category() &&
           std::string(error.what()).find("extends PCRs") != std::string::npos;
  });
  BOOST_TEST(node.extended > 1U);
  BOOST_TEST(node.extended < 20U);  // bounded
  node.proxy.before(0, 0, nullptr);
  BOOST_TEST(equals(node.group_key(), node.key));
}

BOOST_AUTO_TEST_CASE(a_bound_pcr_extended_before_load_seals_out_by_its_number) {
  WatchedNode node;
  node.extend_before(TPM2_CC_Load, 7);
  BOOST_CHECK_EXCEPTION(node.group_key(), Error, sealed_out_by_pcr_7);
  node.approve_present_state();
  BOOST_TEST(equals(node.group_key(), node.key));
}

// Told by PolicyPCR itself, before the storage key is asked at all.
BOOST_AUTO_TEST_CASE(a_bound_pcr_extended_between_the_look_at_it_and_its_policy_seals_out_by_its_number) {
  WatchedNode node;
  node.extend_before(TPM2_CC_PolicyPCR, 7);
  BOOST_CHECK_EXCEPTION(node.group_key(), Error, sealed_out_by_pcr_7);
  BOOST_TEST(node.extended == 1U);
  node.approve_present_state();
  BOOST_TEST(equals(node.group_key(), node.key));
}

BOOST_AUTO_TEST_CASE(a_bound_pcr_extended_at_the_last_try_is_sealed_out_and_no_restless_pcr) {
  WatchedNode node;
  unsigned tries = 0;
  node.proxy.before(TPM2_CC_Load, 5, [&] { node.swtpm.extend_pcr(++tries == 5 ? 7 : of_others, "an event"); });
  BOOST_CHECK_EXCEPTION(node.group_key(), Error, sealed_out_by_pcr_7);
  node.proxy.before(0, 0, nullptr);
  BOOST_TEST(tries == 5U);
  node.approve_present_state();
  BOOST_TEST(equals(node.group_key(), node.key));
}
