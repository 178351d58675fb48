// TpmKekStore as the agent uses it: what happens when the machine boots something else, when the TPM is cleared,
// replaced, absent, locked out or reset. What both kinds of store promise is in the conformance suite.
#include <chrono>
#include <future>
#include <thread>

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/tpm_mischief.hpp"
#include "tests/tpm/tpm_fixture.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
using volcrypt::test::StoreFixture;

namespace {

// For BOOST_CHECK_EXCEPTION: the cause, and a word that the message must hold.
auto is(errc cause, std::string word = {}) {
  return [cause, word = std::move(word)](const Error& error) {
    BOOST_TEST_MESSAGE(error.what());
    return error.code() == cause && std::string(error.what()).find(word) != std::string::npos;
  };
}

const Uuid group = Uuid::parse("11111111-2222-4333-8444-555555555555");

Secret key_of(StoreFixture& node, Generation generation) {
  return std::move(node.store->group_keys(generation, {group}).front());
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_kek_gives_the_same_group_key_after_a_restart_and_a_power_cycle) {
  StoreFixture node;
  node.store->create(1);
  const Secret key = key_of(node, 1);
  node.restart();
  BOOST_TEST(equals(key, key_of(node, 1)));
  node.swtpm.power_cycle();  // under the running store: it loads again by itself
  BOOST_TEST(equals(key, key_of(node, 1)));
  node.restart();
  BOOST_TEST(equals(key, key_of(node, 1)));
}

BOOST_AUTO_TEST_CASE(another_boot_state_seals_out_until_it_is_approved_and_then_the_same_blobs_open) {
  // talos#10205, secureblue#2392: PCR 7 changes with a Secure Boot update.
  StoreFixture node({4, 7});
  const KekRecord record = node.store->create(1);
  const Secret key = key_of(node, 1);
  node.swtpm.extend_pcr(7, "new dbx");
  node.restart();
  BOOST_CHECK_EXCEPTION(key_of(node, 1), Error,
                        is(errc::sealed_out, "PCR 7 = " + to_hex(node.store->boot_report().values[1].second)));
  BOOST_CHECK_EXCEPTION(node.store->create(2), Error, is(errc::sealed_out, "PCR 4 = 000"));
  BOOST_CHECK_EXCEPTION(node.store->duplicate_to_recovery(record), Error, is(errc::sealed_out));
  BOOST_TEST(!node.store->boot_report().approved_now);
  node.approve_present_state();
  BOOST_TEST(node.store->boot_report().approved_now);
  BOOST_TEST(equals(key, key_of(node, 1)));
  node.store->create(2);
  node.swtpm.power_cycle();  // boots the old state, which is still approved
  node.restart();
  BOOST_TEST(equals(key, key_of(node, 1)));
}

BOOST_AUTO_TEST_CASE(a_loaded_kek_outlives_a_pcr_change_until_it_is_locked) {
  StoreFixture node;
  node.store->create(1);
  const Secret key = key_of(node, 1);
  node.swtpm.extend_pcr(7, "something later");
  BOOST_TEST(equals(key, key_of(node, 1)));
  node.store->lock();
  BOOST_CHECK_EXCEPTION(key_of(node, 1), Error, is(errc::sealed_out));
}

BOOST_AUTO_TEST_CASE(without_bound_pcrs_every_boot_state_opens) {
  StoreFixture node(std::vector<std::uint32_t>{});
  node.store->create(1);
  const Secret key = key_of(node, 1);
  node.swtpm.extend_pcr(7, "anything");
  node.restart();
  BOOST_TEST(equals(key, key_of(node, 1)));
  const BootReport report = node.store->boot_report();
  BOOST_TEST(report.approved_now);
  BOOST_TEST(report.values.empty());
}

BOOST_AUTO_TEST_CASE(before_adoption_the_boot_report_shows_sixteen_pcrs_and_nothing_else_works) {
  test::Swtpm swtpm;
  test::TemporaryDirectory directory;
  TpmStoreOptions options;
  options.tcti = swtpm.tcti();
  options.directory = directory.path;
  TpmKekStore store(options);
  const BootReport report = store.boot_report();
  BOOST_TEST(report.values.size() == 16U);
  BOOST_TEST(report.digest_now.empty());
  BOOST_TEST(!report.approved_now);
  BOOST_CHECK_EXCEPTION(store.create(1), Error, is(errc::wrong_state));
  BOOST_CHECK_EXCEPTION(store.group_keys(1, {group}), Error, is(errc::wrong_state));
}

BOOST_AUTO_TEST_CASE(a_cleared_or_replaced_tpm_is_told_apart_from_every_other_fault) {
  // systemd#22870: the software did not even offer the way out.
  for (const auto change : {&test::Swtpm::clear, &test::Swtpm::replace}) {
    StoreFixture node;
    node.store->create(1);
    (node.swtpm.*change)();
    node.restart();
    BOOST_CHECK_EXCEPTION(key_of(node, 1), Error, is(errc::tpm_cleared, "recovery open"));
    // Admission anew gives the node a new key under the same authority; old blobs stay shut, new generations work.
    const NodeIdentity anew = node.store->identity(node.administrator.request());
    BOOST_TEST(anew.storage_key != node.identity.storage_key);
    BOOST_CHECK_EXCEPTION(key_of(node, 1), Error, is(errc::tpm_cleared, "recovery open"));
    node.store->create(2);
    BOOST_TEST(key_of(node, 2).size() == 32U);
  }
}

BOOST_AUTO_TEST_CASE(a_storage_key_that_was_only_evicted_comes_back) {
  StoreFixture node;
  node.store->create(1);
  const Secret key = key_of(node, 1);
  node.store->lock();
  {
    tpm::TpmContext context(node.tcti);
    tpm::evict_storage_key(context.esys(), {0x81015600, node.identity.storage_key});
    BOOST_TEST(!tpm::open_pinned(context.esys(), {0x81015600, node.identity.storage_key}));
  }
  BOOST_TEST(equals(key, key_of(node, 1)));
  node.restart();
  BOOST_TEST(equals(key, key_of(node, 1)));
}

// What is recorded of the key decides, not what the configuration says by now.
BOOST_AUTO_TEST_CASE(an_rsa_storage_key_that_was_only_evicted_comes_back_whatever_is_configured_now) {
  const StoreFixture node;
  TpmStoreOptions options = node.options();
  options.directory = node.directory.path / "rsa";
  options.algorithm = tpm::StorageAlgorithm::rsa_2048;
  options.first_handle = 0x81020000;
  auto store = std::make_unique<TpmKekStore>(options);
  const NodeIdentity identity = store->identity(node.administrator.request());
  const Approvals::BootState& state = node.approvals.boot_states.front();
  store->adopt(node.administrator.approve(identity.storage_key, node.approvals.pcrs, state.pcr_digest));
  store->create(1);
  const Secret key = std::move(store->group_keys(1, {group}).front());
  store->lock();
  {
    const tpm::TpmContext context(node.tcti);
    tpm::evict_storage_key(context.esys(), {0x81020000, identity.storage_key});
    BOOST_TEST(!tpm::open_pinned(context.esys(), {0x81020000, identity.storage_key}));
  }
  options.algorithm = tpm::StorageAlgorithm::ecc_p256;
  store = std::make_unique<TpmKekStore>(options);
  BOOST_TEST(equals(key, store->group_keys(1, {group}).front()));
}

BOOST_AUTO_TEST_CASE(persistent_objects_of_others_are_never_touched) {
  test::Swtpm swtpm;
  const test::Administrator other, ours;
  tpm::StorageKey foreign;
  {
    tpm::TpmContext context(swtpm.tcti());
    foreign =
        tpm::ensure_storage_key(context.esys(), tpm::StorageAlgorithm::ecc_p256, other.storage_policy(), 0x81015600);
  }
  test::TemporaryDirectory directory;
  TpmStoreOptions options;
  options.tcti = swtpm.tcti();
  options.directory = directory.path;
  TpmKekStore store(options);
  const NodeIdentity identity = store.identity(ours.request());
  store.lock();
  tpm::TpmContext context(swtpm.tcti());
  BOOST_TEST(foreign.handle == 0x81015600U);
  BOOST_TEST(bool(tpm::open_pinned(context.esys(), foreign)));
  BOOST_TEST(bool(tpm::open_pinned(context.esys(), {0x81015601, identity.storage_key})));
  BOOST_TEST(tpm::handles_of(context.esys(), TPM2_PERSISTENT_FIRST).size() == 2U);
}

BOOST_AUTO_TEST_CASE(the_same_identity_again_changes_nothing_and_another_one_replaces_it_only_before_the_first_kek) {
  test::Swtpm swtpm;
  const test::Administrator first, second;
  test::TemporaryDirectory directory;
  TpmStoreOptions options;
  options.tcti = swtpm.tcti();
  options.directory = directory.path;
  TpmKekStore store(options);
  const NodeIdentity identity = store.identity(first.request());
  BOOST_TEST(store.identity(first.request()).storage_key == identity.storage_key);
  const NodeIdentity replaced = store.identity(second.request());
  BOOST_TEST(replaced.storage_key != identity.storage_key);
  BOOST_TEST(replaced.endorsement_key == identity.endorsement_key);
  {
    tpm::TpmContext context(swtpm.tcti());
    BOOST_TEST(tpm::handles_of(context.esys(), TPM2_PERSISTENT_FIRST).size() == 1U);
  }
  store.adopt(second.approve(replaced.storage_key, {}, {}));
  store.create(1);
  BOOST_CHECK_EXCEPTION(store.identity(first.request()), Error, is(errc::wrong_state));
}

BOOST_AUTO_TEST_CASE(approvals_that_the_authority_did_not_sign_for_this_node_are_refused) {
  StoreFixture node;
  const test::Administrator stranger;
  Approvals forged = node.approvals;
  forged.recovery_approval = stranger.approve(node.identity.storage_key, {}, {}).recovery_approval;
  BOOST_CHECK_EXCEPTION(node.store->adopt(forged), Error, is(errc::bad_signature));
  forged = node.approvals;
  forged.boot_states.front().load = forged.boot_states.front().import;
  BOOST_CHECK_EXCEPTION(node.store->adopt(forged), Error, is(errc::bad_signature));
  forged = node.approvals;
  forged.boot_states.front().pcr_digest[0] ^= 1;
  BOOST_CHECK_EXCEPTION(node.store->adopt(forged), Error, is(errc::bad_signature));
  forged = node.approvals;
  forged.node = Uuid::random();
  BOOST_CHECK_EXCEPTION(node.store->adopt(forged), Error, is(errc::bad_signature));
  forged =
      stranger.approve(node.identity.storage_key, node.approvals.pcrs, node.approvals.boot_states.front().pcr_digest);
  BOOST_CHECK_EXCEPTION(node.store->adopt(forged), Error, is(errc::bad_signature));
  node.store->create(1);  // what was adopted before still holds
}

BOOST_AUTO_TEST_CASE(a_kek_whose_name_is_not_the_recorded_one_is_refused_as_an_impostor) {
  StoreFixture node;
  KekRecord record = node.store->create(1);
  const KekRecord other = node.store->create(2);
  BOOST_CHECK_NO_THROW(node.store->prove(record, {}));
  record.name = other.name;
  BOOST_CHECK_EXCEPTION(node.store->prove(record, {}), Error, is(errc::impostor_kek));
  // The blob and public area of generation 2 under the record of generation 1.
  StoreFixture second;
  KekFiles files(second.options().directory);
  const KekRecord real = second.store->create(1);
  StoredKek swapped = files.get(1);
  second.store->create(2);
  const StoredKek two = files.get(2);
  swapped.blob = two.blob;
  swapped.record.public_area = two.record.public_area;
  files.file("kek-1").write(as_bytes(to_json(swapped)));
  BOOST_CHECK_EXCEPTION(second.store->prove(real, {}), Error, is(errc::impostor_kek));
  second.store->lock();
  BOOST_CHECK_EXCEPTION(key_of(second, 1), Error, is(errc::impostor_kek));
}

BOOST_AUTO_TEST_CASE(an_absent_tpm_fails_the_call_and_not_the_construction_and_is_waited_for_with_a_bound) {
  // systemd#25099, clevis#322, booster#116: the TPM appears late and unlocking gives up for good.
  StoreFixture node;
  node.store->create(1);
  const Secret key = key_of(node, 1);
  node.swtpm.stop();
  node.restart();
  BOOST_CHECK_EXCEPTION(key_of(node, 1), Error, is(errc::tpm_absent, node.tcti));
  node.swtpm.start();
  BOOST_TEST(equals(key, key_of(node, 1)));

  node.swtpm.stop();
  TpmStoreOptions options = node.options();
  options.patience = std::chrono::milliseconds(300);
  node.store = std::make_unique<TpmKekStore>(options);
  const auto begin = std::chrono::steady_clock::now();
  BOOST_CHECK_EXCEPTION(key_of(node, 1), Error, is(errc::tpm_absent));
  const auto waited = std::chrono::steady_clock::now() - begin;
  BOOST_TEST((waited >= std::chrono::milliseconds(300) && waited < std::chrono::seconds(5)));

  options.patience = std::chrono::seconds(30);
  node.store = std::make_unique<TpmKekStore>(options);
  auto late = std::async(std::launch::async, [&node] { return key_of(node, 1); });
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  node.swtpm.start();  // on this thread, which outlives it
  BOOST_TEST(equals(key, late.get()));
}

BOOST_AUTO_TEST_CASE(a_dictionary_attack_lockout_does_not_lock_our_keys) {
  // systemd#20668: unclean power-offs add up to a lockout, and then unsealing fails though nobody guessed anything.
  StoreFixture node;
  node.store->create(1);
  const Secret key = key_of(node, 1);
  node.store->lock();
  test::lock_out(node.tcti);
  BOOST_TEST(node.store->facts().authorisations.in_lockout);
  node.restart();
  BOOST_TEST(equals(key, key_of(node, 1)));
  node.store->create(2);
}

BOOST_AUTO_TEST_CASE(fifty_unclean_resets_do_not_keep_the_keys_from_opening) {
  StoreFixture node;
  node.store->create(1);
  const Secret key = key_of(node, 1);
  for (int i = 0; i < 50; ++i) {
    key_of(node, 1);  // something is loaded whenever the power goes
    node.swtpm.power_cycle();
  }
  node.restart();
  BOOST_TEST(equals(key, key_of(node, 1)));
}

BOOST_AUTO_TEST_CASE(a_tpm_that_lacks_commands_is_refused_by_name) {
  StoreFixture node;
  tpm::TpmFacts facts = node.store->facts();
  BOOST_TEST(facts.missing.empty());
  BOOST_TEST(!facts.authorisations.lockout_set);
  BOOST_TEST(facts.maker == "IBM");
  BOOST_CHECK_NO_THROW(tpm::require_suitable(facts));
  facts.commands.erase(0x155);  // TPM2_HMAC alone is optional
  BOOST_TEST(tpm::missing_commands(facts.commands).empty());
  BOOST_TEST((facts.hmac_route() == tpm::HmacRoute::sequence));
  facts.commands.erase(0x15B);  // TPM2_HMAC_Start
  facts.commands.erase(0x14B);  // TPM2_Duplicate
  facts.missing = tpm::missing_commands(facts.commands);
  BOOST_CHECK_EXCEPTION(tpm::require_suitable(facts), Error,
                        is(errc::tpm_unsuitable, "TPM2_Duplicate, TPM2_HMAC or TPM2_HMAC_Start"));
  BOOST_CHECK_EXCEPTION(facts.hmac_route(), Error, is(errc::tpm_unsuitable, "TPM2_HMAC_Start"));
}

BOOST_AUTO_TEST_CASE(an_owner_password_is_named_as_the_reason) {
  test::Swtpm swtpm;
  test::set_owner_password(swtpm.tcti());
  test::TemporaryDirectory directory;
  TpmStoreOptions options;
  options.tcti = swtpm.tcti();
  options.directory = directory.path;
  TpmKekStore store(options);
  BOOST_CHECK_EXCEPTION(store.identity(test::Administrator().request()), Error, is(errc::tpm_unsuitable, "owner"));
}

BOOST_AUTO_TEST_CASE(both_hmac_routes_give_the_same_group_key) {
  StoreFixture node;
  node.store->create(1);
  const Secret key = key_of(node, 1);
  TpmStoreOptions options = node.options();
  options.route = tpm::HmacRoute::sequence;
  node.store = std::make_unique<TpmKekStore>(options);
  BOOST_TEST(equals(key, key_of(node, 1)));
}
