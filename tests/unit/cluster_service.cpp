// The operator's verbs and the rotation driver over a member and a store in memory. Crashes and errors at every await
// are in cluster_service_fates.cpp.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "dmtarget/error.hpp"
#include "tests/support/cluster_lives.hpp"
#include "tests/support/refusal.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using namespace std::chrono_literals;
using test::Drive;
using tests::refusal;

namespace {

struct Fixture : Machine {
  std::unique_ptr<Agent> agent = std::make_unique<Agent>(*this);
  ClusterService& service() { return agent->service; }
  void restart() {
    agent.reset();
    agent = std::make_unique<Agent>(*this);
  }
  // Everything the member is asked under this name fails.
  void fail(const std::string& operation) {
    agent->member.around = [operation](std::string name) { return refuse_when(name == operation); };
  }
  std::vector<Bytes> blob_names() {
    std::vector<Bytes> names;
    for (const auto& entry : agent->wait(store.list("recovery/")))
      names.push_back(parse_recovery_blob(entry.value).name);
    return names;
  }
  static bool contains(const ClusterInfo& info, const std::string& part) {
    return std::any_of(info.warnings.begin(), info.warnings.end(),
                       [&](const std::string& warning) { return warning.find(part) != std::string::npos; });
  }
  static asio::awaitable<void> wait_while(const bool& hold, bool concerned) {
    while (concerned && hold) co_await doze(1ms);
  }
  void heal() { agent->member.around = nullptr; }
  static asio::awaitable<void> refuse_when(bool failing) {
    if (failing) throw Error(errc::sealed_out, {"do", "it", ""});
    co_return;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(verbs_without_a_cluster_name_the_way_to_one, Fixture) {
  agent->wait(service().start());
  const auto text = refusal(errc::wrong_state, [&] { agent->wait(service().rotate()); });
  BOOST_TEST(text.find("cluster init") != std::string::npos);
  const auto info = agent->wait(service().info());
  BOOST_TEST(!info.membership.has_value());
  BOOST_TEST((info.encryption.phase == EncryptionPhase::Disabled));
}

BOOST_FIXTURE_TEST_CASE(init_stores_and_adopts_the_document_and_takes_the_same_one_again, Fixture) {
  agent->become_cluster();
  BOOST_TEST(node.adopted == 1u);
  agent->wait(service().init(signed_membership()));
  const auto info = agent->wait(service().info());
  BOOST_REQUIRE(info.membership.has_value());
  BOOST_TEST((info.membership->cluster == cluster.id));
  const test::SignedCluster other;
  refusal(errc::wrong_state, [&] { agent->wait(service().init(other.sign(other.membership(node.id)))); });
  auto stored = agent->wait(service().membership());
  BOOST_REQUIRE(stored.has_value());
  BOOST_TEST(stored->document == signed_membership().document);
}

BOOST_FIXTURE_TEST_CASE(init_with_a_bad_signature_or_without_this_node_leaves_nothing_behind, Fixture) {
  auto forged = signed_membership();
  forged.signature[10] ^= 1;
  refusal(errc::bad_signature, [&] { agent->wait(service().init(forged)); });
  refusal(errc::invalid_argument,
          [&] { agent->wait(service().init(cluster.sign(cluster.membership(Uuid::random())))); });
  BOOST_TEST(store.entries.empty());
}

BOOST_FIXTURE_TEST_CASE(an_init_that_a_member_cannot_adopt_is_taken_back, Fixture) {
  fail("adopt");
  refusal(errc::sealed_out, [&] { agent->become_cluster(); });
  BOOST_TEST(store.entries.empty());
  heal();
  agent->become_cluster();
}

BOOST_FIXTURE_TEST_CASE(enable_names_every_failure_at_once, Fixture) {
  agent->become_cluster();
  node.not_ready = {"The TPM does not answer."};
  node.version = "9.9";
  store.entries["volume/data1"] = {"volume/data1", "{}", 1};
  const auto text = refusal(errc::wrong_state, [&] { agent->wait(service().enable(software)); });
  for (const char* part : {"feature flag", "data1", "The TPM does not answer", "9.9", "node1"}) {
    BOOST_TEST(text.find(part) != std::string::npos, part);
  }
  BOOST_TEST((state().phase == EncryptionPhase::Disabled));
}

BOOST_FIXTURE_TEST_CASE(enable_ends_with_generation_one_proved_and_is_idempotent, Fixture) {
  agent->become_encrypted();
  BOOST_TEST(state().current == 1u);
  check();
  agent->wait(service().enable(software));
  BOOST_TEST(state().current == 1u);
  refusal(errc::wrong_state, [&] { agent->wait(service().enable(keys::Protection::tpm)); });
}

BOOST_FIXTURE_TEST_CASE(an_enabling_that_fails_is_taken_back_with_its_cause_and_can_be_repeated, Fixture) {
  agent->become_cluster();
  agent->wait(service().set_feature_flag());
  for (const char* operation : {"create", "created", "prove"}) {
    fail(operation);
    refusal(errc::sealed_out, [&] { agent->wait(service().enable(software)); });
    BOOST_TEST((state().phase == EncryptionPhase::Disabled), operation);
  }
  heal();
  agent->wait(service().enable(software));
  BOOST_TEST(state().current == 4u);  // three numbers were burnt
  agent->run_until_rest();
  BOOST_TEST((node.held == std::set<Generation>{4}));
  check();
}

BOOST_FIXTURE_TEST_CASE(a_rotation_rewraps_every_volume_and_destroys_the_old_generation, Fixture) {
  agent->become_encrypted();
  for (const char* name : {"a", "b", "c"}) node.volumes[name] = {1, Drive::present};
  BOOST_TEST(agent->wait(service().rotate()) == 2u);
  agent->run_until_rest();
  BOOST_TEST(state().current == 2u);
  BOOST_TEST(state().previous.empty());
  BOOST_TEST((node.held == std::set<Generation>{2}));
  BOOST_TEST(!store.entries.contains("generation/1"));
  BOOST_TEST(!store.entries.contains("recovery/1"));
  check();
}

BOOST_FIXTURE_TEST_CASE(an_absent_drive_is_waited_for_without_holding_up_rotations, Fixture) {
  agent->become_encrypted();
  node.volumes["away"] = {1, Drive::absent};
  node.volumes["here"] = {1, Drive::present};
  agent->rotate();
  agent->rotate();
  BOOST_TEST(state().current == 3u);
  BOOST_TEST((state().previous == std::set<Generation>{1}));
  check();
  node.volumes["away"] = {3, Drive::present};  // it came back, and its owner rewrapped it
  agent->wait(service().reconsider_retirement());
  for (int i = 0; i < 1000 && node.held.size() > 1; ++i) agent->wait(doze(1ms));
  agent->run_until_rest();
  BOOST_TEST((node.held == std::set<Generation>{3}));
  BOOST_TEST(state().previous.empty());
  check();
}

BOOST_FIXTURE_TEST_CASE(a_failing_volume_keeps_the_rotation_visible_and_its_generation_alive, Fixture) {
  agent->become_encrypted();
  node.volumes["ill"] = {1, Drive::failing};
  node.volumes["well"] = {1, Drive::present};
  agent->wait(service().rotate());
  agent->run_until(RotationPhase::EncryptingDEKs);
  for (int i = 0; i < 1000 && node.volumes["well"].generation != 2; ++i) agent->wait(doze(1ms));
  agent->wait(doze(10ms));
  const auto view = agent->wait(service().rotation());
  BOOST_TEST(node.volumes["well"].generation == 2u);
  BOOST_TEST(view.waiting_for.find("ill") != std::string::npos, view.waiting_for);
  BOOST_TEST((view.state.rotation == RotationPhase::EncryptingDEKs));
  check();
  node.volumes["ill"].drive = Drive::present;
  agent->run_until_rest();
  BOOST_TEST((node.held == std::set<Generation>{2}));
  BOOST_TEST(agent->wait(service().rotation()).waiting_for.empty());
}

BOOST_FIXTURE_TEST_CASE(a_rotation_whose_kek_cannot_be_made_is_taken_back, Fixture) {
  agent->become_encrypted();
  fail("create");
  agent->wait(service().rotate());
  agent->run_until_rest();
  BOOST_TEST(state().current == 1u);
  BOOST_TEST(agent->wait(service().rotation()).last_failure.find("generation 2") != std::string::npos);
  heal();
  agent->rotate();
  BOOST_TEST(state().current == 3u);
  check();
}

BOOST_FIXTURE_TEST_CASE(a_member_that_cannot_prove_is_waited_for_and_the_rotation_can_be_aborted, Fixture) {
  agent->become_encrypted();
  node.volumes["a"] = {1, Drive::present};
  fail("prove");
  agent->wait(service().rotate());
  for (int i = 0; i < 1000 && agent->wait(service().rotation()).waiting_for.empty(); ++i) agent->wait(doze(1ms));
  BOOST_TEST(agent->wait(service().rotation()).waiting_for.find("node1") != std::string::npos);
  BOOST_TEST((state().rotation == RotationPhase::DistributingKEK));
  refusal(errc::wrong_state, [&] { agent->wait(service().rotate()); });
  BOOST_TEST((agent->wait(service().abort_rotation()) == std::optional<Generation>(2)));
  agent->run_until_rest();
  BOOST_TEST(state().current == 1u);
  BOOST_TEST((node.held == std::set<Generation>{1}));
  BOOST_TEST(agent->wait(service().rotation()).last_failure.find("aborted") != std::string::npos);
  BOOST_TEST(!agent->wait(service().abort_rotation()).has_value());  // the same again: nothing to do
  heal();
  agent->rotate();
  BOOST_TEST(state().current == 3u);
  check();
}

BOOST_FIXTURE_TEST_CASE(after_an_abort_nothing_waits_for_another_attempt, Fixture) {
  agent.reset();
  DriverOptions patient = quick;
  patient.first_pause = patient.longest_pause = 1h;
  agent = std::make_unique<Agent>(*this, patient);
  agent->become_encrypted();
  fail("prove");
  agent->wait(service().rotate());
  for (int i = 0; i < 1000 && agent->wait(service().rotation()).waiting_for.empty(); ++i) agent->wait(doze(1ms));
  agent->wait(service().abort_rotation());
  agent->run_until_rest();
  for (int i = 0; i < 1000 && !agent->wait(service().rotation()).waiting_for.empty(); ++i) agent->wait(doze(1ms));
  BOOST_TEST(agent->wait(service().rotation()).waiting_for == "");
}

BOOST_FIXTURE_TEST_CASE(a_rotation_whose_new_kek_is_current_is_not_aborted_and_the_reason_is_told, Fixture) {
  refusal(errc::wrong_state, [&] { agent->wait(service().abort_rotation()); });
  agent->become_encrypted();
  node.volumes["a"] = {1, Drive::failing};
  agent->wait(service().rotate());
  agent->run_until(RotationPhase::EncryptingDEKs);
  const auto text = refusal(errc::wrong_state, [&] { agent->wait(service().abort_rotation()); });
  BOOST_TEST(text.find("Generation 2 is current already") != std::string::npos, text);
  node.volumes["a"].drive = Drive::present;
  agent->run_until_rest();
  BOOST_TEST(state().current == 2u);
  check();
}

BOOST_FIXTURE_TEST_CASE(there_is_no_rotation_to_abort_before_encryption_is_enabled_and_while_it_is, Fixture) {
  agent->become_cluster();
  const auto why_not = [&] { return refusal(errc::wrong_state, [&] { agent->wait(service().abort_rotation()); }); };
  BOOST_TEST(why_not().find("not enabled") != std::string::npos);
  agent->wait(service().set_feature_flag());
  bool hold = true, ended = false;
  agent->member.around = [&](std::string name) { return wait_while(hold, name == "create"); };
  asio::co_spawn(*agent->loop, service().enable(software), [&](std::exception_ptr failure) { ended = !failure; });
  for (int i = 0; i < 1000 && state().phase != EncryptionPhase::Enabling; ++i) agent->wait(doze(1ms));
  BOOST_TEST(why_not().find("being enabled") != std::string::npos);
  hold = false;
  for (int i = 0; i < 1000 && !ended; ++i) agent->wait(doze(1ms));
  BOOST_TEST(ended);
  BOOST_TEST(state().current == 1u);
}

// What a KEK that is still being made leaves behind comes after its destruction otherwise.
BOOST_FIXTURE_TEST_CASE(an_aborted_kek_that_is_still_being_made_is_destroyed_afterwards, Fixture) {
  agent->become_encrypted();
  bool hold = true;
  agent->member.around = [&](std::string name) { return wait_while(hold, name == "create"); };
  agent->wait(service().rotate());
  agent->wait(doze(5ms));
  agent->wait(service().abort_rotation());
  agent->wait(doze(20ms));
  BOOST_TEST(!node.destroyed.contains(2));
  hold = false;
  agent->run_until_rest();
  BOOST_TEST(node.destroyed.contains(2));
  BOOST_TEST((node.held == std::set<Generation>{1}));
  BOOST_TEST(!store.entries.contains(store_key::recovery(2)));
  check();
}

BOOST_FIXTURE_TEST_CASE(a_restart_in_the_middle_of_distribution_burns_the_number, Fixture) {
  agent->become_encrypted();
  fail("prove");
  agent->wait(service().rotate());
  for (int i = 0; i < 1000 && agent->wait(service().rotation()).waiting_for.empty(); ++i) agent->wait(doze(1ms));
  restart();
  agent->wait(service().start());
  agent->run_until_rest();
  BOOST_TEST(state().current == 3u);
  BOOST_TEST((node.held == std::set<Generation>{3}));
  check();
}

// Whether an action is still due cannot be asked meanwhile: then it is not given up.
BOOST_FIXTURE_TEST_CASE(a_store_that_is_away_for_a_while_holds_a_rotation_up_and_does_not_end_it, Fixture) {
  agent->become_encrypted();
  node.volumes["a"] = {1, Drive::present};
  bool hold = true, away = false;
  agent->member.around = [&](std::string name) { return wait_while(hold, name == "rewrap"); };
  agent->wait(service().rotate());
  agent->run_until(RotationPhase::EncryptingDEKs);
  std::size_t refused = 0;
  store.before = [&] {
    refused += away ? 1 : 0;
    return refuse_when(away);
  };
  away = true;
  hold = false;
  for (int i = 0; i < 1000 && refused < 10; ++i) agent->wait(doze(1ms));
  BOOST_TEST(refused >= 10u);
  away = false;
  agent->run_until_rest();
  BOOST_TEST((node.held == std::set<Generation>{2}));
  check();
}

BOOST_FIXTURE_TEST_CASE(a_store_that_was_rolled_back_or_lost_is_refused, Fixture) {
  agent->become_encrypted();
  const auto old_entries = store.entries;
  agent->rotate();
  agent.reset();
  const auto new_entries = store.entries;
  store.entries = old_entries;
  agent = std::make_unique<Agent>(*this);
  refusal(errc::too_old, [&] { agent->wait(service().start()); });
  refusal(errc::too_old, [&] { agent->wait(service().rotate()); });
  store.entries.clear();
  restart();
  refusal(errc::too_old, [&] { agent->wait(service().start()); });
  store.entries = new_entries;
  restart();
  agent->wait(service().start());
  agent->rotate();
  check();
}

BOOST_FIXTURE_TEST_CASE(a_newer_membership_replaces_the_old_one_and_an_older_one_does_not, Fixture) {
  agent->become_cluster();
  agent->wait(service().update_membership(signed_membership(2)));
  agent->wait(service().update_membership(signed_membership(2)));
  BOOST_TEST(agent->wait(service().info()).membership->version == 2u);
  refusal(errc::too_old, [&] { agent->wait(service().update_membership(signed_membership(1))); });
  auto other = cluster.membership(node.id, 2);
  other.cluster_name = "other";
  refusal(errc::too_old, [&] { agent->wait(service().update_membership(cluster.sign(other))); });
  BOOST_TEST(agent->wait(service().info()).membership->cluster_name == "test");
}

BOOST_FIXTURE_TEST_CASE(status_tells_what_is_weak, Fixture) {
  agent->become_encrypted();
  auto info = agent->wait(service().info());
  BOOST_TEST(contains(info, "never verified"));
  BOOST_TEST(contains(info, "Software protection"));
  BOOST_REQUIRE(info.generations.size() == 1u);
  BOOST_TEST(info.generations[0].role == "current");
  agent->wait(service().recovery_was_verified("2026-01-02T03:04:05Z", blob_names()));
  agent->wait(service().recovery_was_verified("2026-01-03T03:04:05Z", blob_names()));
  node.key_warnings = {"A thing to mend."};
  BOOST_TEST(contains(agent->wait(service().info()), node.name + ": A thing to mend."));
  fail("key_warnings");
  BOOST_TEST(contains(agent->wait(service().info()), "keys were not looked at"));
  fail("boot_report");
  info = agent->wait(service().info());
  BOOST_TEST(info.recovery_verified_at == "2026-01-03T03:04:05Z");
  BOOST_TEST(!contains(info, "never verified"));
  BOOST_TEST(contains(info, "boot state is not known"));
}

BOOST_FIXTURE_TEST_CASE(recovery_is_verified_only_while_every_blob_was_opened, Fixture) {
  agent->become_encrypted();
  node.volumes["gone"] = {1, Drive::absent};  // keeps generation 1 and its blob
  const auto first = blob_names();
  agent->wait(service().recovery_was_verified("2026-01-02T03:04:05Z", first));
  BOOST_TEST(agent->wait(service().info()).recovery_verified);
  for (const Generation number : {2U, 3U}) {
    agent->rotate();
    const auto info = agent->wait(service().info());
    BOOST_TEST(info.encryption.current == number);
    BOOST_TEST(!info.recovery_verified);
    BOOST_TEST((info.unverified_since == number));  // the one between is retired, and its blob gone
    BOOST_TEST(contains(info, "not verified since KEK generation " + std::to_string(number)));
  }
  agent->wait(service().recovery_was_verified("2026-01-03T03:04:05Z", first));  // seen before the rotations
  BOOST_TEST(!agent->wait(service().info()).recovery_verified);
  agent->wait(service().recovery_was_verified("2026-01-04T03:04:05Z", blob_names()));
  const auto info = agent->wait(service().info());
  BOOST_TEST(info.recovery_verified);
  BOOST_TEST(info.recovery_verified_at == "2026-01-04T03:04:05Z");
  BOOST_TEST(!info.unverified_since.has_value());
  BOOST_TEST(!contains(info, "recovery verify"));
}

BOOST_FIXTURE_TEST_CASE(a_note_of_verification_without_names_covers_nothing, Fixture) {
  agent->become_encrypted();
  const auto write_note = [&](const std::string& text) {
    Transaction transaction;
    transaction.then.emplace_back(Put{"recovery-verified", text});
    BOOST_REQUIRE(agent->wait(store.commit(std::move(transaction))).has_value());
    return agent->wait(service().info());
  };
  const auto old = write_note(R"({"version":1,"at":"2026-01-02T03:04:05Z"})");
  BOOST_TEST(!old.recovery_verified);
  BOOST_TEST(contains(old, "not verified since KEK generation 1"));
  const auto damaged = write_note(R"({"version":1,"at":"2026-01-02T03:04:05Z","names":[7]})");
  BOOST_TEST(!damaged.recovery_verified);
  BOOST_TEST(contains(damaged, "is not known"));
}
