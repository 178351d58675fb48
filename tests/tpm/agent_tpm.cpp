// The daemon with a TPM (swtpm): the story, sealed out and approved again, TPM absent, and power cycles.
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "agent/keys/kek_files.hpp"
#include "agent/keys/tpm/node_document.hpp"
#include "agent/keys/tpm/tpm_context.hpp"
#include "tests/support/daemon_checks.hpp"
#include "tests/support/scraped.hpp"
#include "tests/support/swtpm.hpp"
#include "tests/support/tpm_mischief.hpp"

namespace volcrypt {

namespace {

using test::CommandResult;
using test::Daemon;
using test::must_succeed;
using test::Swtpm;

bool warns(const Daemon& daemon, const std::string& words) {
  const auto warnings = boost::json::serialize(daemon.ask({"get", "clusterinfo"}).at("warnings"));
  BOOST_TEST_MESSAGE(warnings);
  return warnings.find(words) != std::string::npos;
}

// The proof at start goes on beside the requests.
bool comes_to_warn(const Daemon& daemon, const std::string& words) {
  for (int i = 0; i < 100; ++i) {
    if (warns(daemon, words)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  return false;
}

bool logs(const Daemon& daemon, const std::string& words) { return daemon.log().find(words) != std::string::npos; }

// The files of one generation in the state directory of a daemon that is stopped.
keys::StoredKek stored_kek(const Daemon& daemon, keys::Generation generation) {
  return keys::KekFiles(daemon.state_directory() + "/tpm").get(generation);
}
void put_kek(const Daemon& daemon, const keys::StoredKek& kek) {
  const std::string name = "kek-" + std::to_string(kek.record.generation);
  keys::KeptFile(daemon.state_directory() + "/tpm/" + name).write(as_bytes(to_json(kek)));
}

// The public area on the node's own record.
Bytes daemon_storage_key(const Daemon& daemon) {
  const auto content =
      keys::KeptFile(daemon.state_directory() + "/tpm/" + std::string(keys::tpm::node_document_name)).read();
  BOOST_REQUIRE(content.has_value());
  return keys::tpm::parse_node_document({reinterpret_cast<const char*>(content->data()), content->size()})
      .identity.storage_key;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(agent_tpm)

BOOST_AUTO_TEST_CASE(a_cluster_is_made_enabled_rotated_and_survives_restarts) {
  const Swtpm tpm;
  Daemon daemon(tpm.tcti());
  test::tell_the_story(daemon, "tpm");
}

BOOST_AUTO_TEST_CASE(the_configuration_gives_an_rsa_storage_key_at_a_handle_of_choice) {
  const Swtpm tpm;
  Daemon daemon(tpm.tcti(), "tpm-wait = 5\nstorage-key = rsa\nstorage-key-handle = 0x81020000\n");
  test::tell_the_story(daemon, "tpm");
  BOOST_TEST(daemon.stop() == 0);
  const keys::tpm::TpmContext context(tpm.tcti());
  const auto persistent = keys::tpm::handles_of(context.esys(), TPM2_PERSISTENT_FIRST);
  BOOST_TEST(persistent == std::vector<TPM2_HANDLE>{0x81020000}, boost::test_tools::per_element());
  const auto storage = daemon_storage_key(daemon);
  BOOST_TEST((storage[0] == 0x00 && storage[1] == 0x01));  // TPM_ALG_RSA
}

BOOST_AUTO_TEST_CASE(a_power_cycle_of_the_tpm_below_the_daemon_costs_nothing) {
  Swtpm tpm;
  const Daemon daemon(tpm.tcti());
  test::make_enabled_cluster(daemon, "tpm");
  tpm.power_cycle();
  must_succeed(daemon.control({"rotate", "cluster-root-key", "--wait", "--timeout", "120"}));
  test::must_be_at_rest(daemon, 2);
}

BOOST_AUTO_TEST_CASE(a_changed_pcr_seals_the_node_out_until_the_authority_approves_it) {
  Swtpm tpm;
  const Daemon daemon(tpm.tcti());
  test::make_enabled_cluster(daemon, "tpm");
  tpm.power_cycle();
  tpm.extend_pcr(7, "another Secure Boot state");
  const auto sealed = daemon.ask({"get", "clusterinfo"});
  BOOST_TEST(!sealed.at("bootState").at("approvedNow").as_bool());
  const CommandResult approved = daemon.control(
      {"node", "approve-boot-state", "--authority-file", daemon.path("authority.json")}, {test::authority_passphrase});
  must_succeed(approved);
  const std::string digest(daemon.ask({"node", "boot-state"}).at("digestNow").as_string());
  BOOST_TEST(logs(daemon, "a boot state was approved node="));
  BOOST_TEST(logs(daemon, "pcr_digest=" + digest + " membership=2"));
  BOOST_TEST(daemon.ask({"get", "clusterinfo"}).at("bootState").at("approvedNow").as_bool());
  must_succeed(daemon.control({"rotate", "cluster-root-key", "--wait", "--timeout", "120"}));
  test::must_be_at_rest(daemon, 2);
}

BOOST_AUTO_TEST_CASE(a_daemon_that_starts_before_its_tpm_goes_on_when_the_tpm_appears) {
  Swtpm tpm;
  Daemon daemon(tpm.tcti());
  test::make_enabled_cluster(daemon, "tpm");
  BOOST_TEST(daemon.stop() == 0);
  tpm.stop();
  daemon.start();
  test::must_be_at_rest(daemon, 1);  // the state is told without the TPM
  tpm.start();
  must_succeed(daemon.control({"rotate", "cluster-root-key", "--wait", "--timeout", "120"}));
  test::must_be_at_rest(daemon, 2);
}

BOOST_AUTO_TEST_CASE(the_latency_of_each_tpm_command_is_in_the_metrics_and_grows_with_its_use) {
  const Swtpm tpm;
  const Daemon daemon(tpm.tcti(), test::Drives::files);
  test::make_enabled_cluster(daemon, "tpm");
  const test::Scraped enabled(daemon);
  // Of the attestation key, the self-test's and the KEK: how many, is not what is looked at here.
  const double creates = enabled.tpm_commands("TPM2_Create");
  BOOST_TEST(creates > 0);
  BOOST_TEST(enabled.tpm_seconds("TPM2_Create") > 0);
  BOOST_TEST(enabled.at("volcrypt_tpm_command_seconds_bucket{command=\"TPM2_Create\",le=\"30\"}") == creates);
  BOOST_TEST(enabled.tpm_commands("other") == 0);

  must_succeed(daemon.control({"create", "volume", "data1", "--device", daemon.plug("data1")}));
  must_succeed(daemon.control({"detach", "data1"}));
  const test::Scraped created(daemon);
  must_succeed(daemon.control({"attach", "data1"}));
  const test::Scraped attached(daemon);
  BOOST_TEST(attached.tpm_commands("TPM2_HMAC") == created.tpm_commands("TPM2_HMAC") + 1);
  BOOST_TEST(attached.tpm_seconds("TPM2_HMAC") > created.tpm_seconds("TPM2_HMAC"));
  BOOST_TEST(attached.unwraps() == created.unwraps() + 1);
  must_succeed(daemon.control({"rotate", "cluster-root-key", "--wait", "--timeout", "120"}));
  must_succeed(daemon.control({"get", "volumes"}));
  const test::Scraped rotated(daemon);
  BOOST_TEST(rotated.tpm_commands("TPM2_Create") == creates + 1);
  BOOST_TEST(rotated.rewraps() == 1);
  BOOST_TEST(rotated.volumes("attached", 2) == 1);
}

// FAILURES.md F: secureblue#1867.
BOOST_AUTO_TEST_CASE(an_empty_lockout_authorisation_is_a_warning_until_it_is_set) {
  const Swtpm tpm;
  const Daemon daemon(tpm.tcti());
  test::make_enabled_cluster(daemon, "tpm");
  BOOST_TEST(warns(daemon, "lockout authorisation is empty"));
  BOOST_TEST(warns(daemon, "tpm2_changeauth -c lockout"));
  test::set_lockout_password(tpm.tcti());
  BOOST_TEST(!warns(daemon, "lockout"));
}

BOOST_AUTO_TEST_CASE(secure_boot_that_is_off_is_a_warning_while_pcr_7_is_the_policy) {
  const Swtpm tpm;
  const Daemon daemon(tpm.tcti(), test::Drives::files);
  daemon.set_secure_boot(0);
  test::make_enabled_cluster(daemon, "tpm");
  const auto told = [&] { return std::string(daemon.ask({"node", "boot-state"}).at("secureBoot").as_string()); };
  BOOST_TEST(warns(daemon, "Secure Boot is off, and PCR 7 is the policy"));
  BOOST_TEST(told() == "off");
  BOOST_TEST(daemon.control({"node", "boot-state"}).out.find("Without Secure Boot, PCR 7") != std::string::npos);
  daemon.set_secure_boot(1);
  BOOST_TEST(!warns(daemon, "Secure Boot"));
  BOOST_TEST(told() == "on");
  BOOST_TEST(daemon.ask({"get", "clusterinfo"}).at("secureBoot").as_string() == "on");
  BOOST_TEST(daemon.control({"node", "boot-state"}).out.find("Without Secure Boot") == std::string::npos);
  std::filesystem::remove_all(daemon.path("efivars"));
  BOOST_TEST(warns(daemon, "There is no Secure Boot here"));
  BOOST_TEST(told() == "absent");
}

// FAILURES.md F: clevis#335, a default binding without any PCR. Ours has PCR 7, and a cluster without says so.
BOOST_AUTO_TEST_CASE(without_a_bound_pcr_that_is_the_warning_and_secure_boot_is_none) {
  const Swtpm tpm;
  const Daemon daemon(tpm.tcti(), test::Drives::files);
  daemon.set_secure_boot(0);
  must_succeed(daemon.init({"--pcrs", "none"}));
  BOOST_TEST(warns(daemon, "No PCR is bound"));
  BOOST_TEST(!warns(daemon, "Secure Boot"));
}

BOOST_AUTO_TEST_CASE(with_a_bound_pcr_there_is_no_warning_of_none_and_an_unverified_recovery_key_is_one) {
  const Swtpm tpm;
  const Daemon daemon(tpm.tcti());
  test::make_enabled_cluster(daemon, "tpm");
  BOOST_TEST(!warns(daemon, "No PCR is bound"));
  BOOST_TEST(warns(daemon, "recovery key was never verified"));
  must_succeed(daemon.control({"recovery", "verify", "--recovery-file", daemon.path("recovery.json")},
                              {test::recovery_passphrase}));
  BOOST_TEST(!warns(daemon, "recovery key"));
}

// Blob and record of the current generation are replaced together by those of another KEK of this very TPM: what stands
// beside the blob does not tell, the cluster's record does.
BOOST_AUTO_TEST_CASE(a_generation_whose_files_became_another_keks_is_found_at_start_and_told) {
  const Swtpm tpm;
  Daemon daemon(tpm.tcti());
  test::make_enabled_cluster(daemon, "tpm");
  BOOST_TEST(daemon.stop() == 0);
  keys::StoredKek impostor = stored_kek(daemon, 1);
  daemon.start();
  must_succeed(daemon.control({"rotate", "cluster-root-key", "--wait", "--timeout", "120"}));
  BOOST_TEST(daemon.stop() == 0);
  const keys::StoredKek good = stored_kek(daemon, 2);
  impostor.record.generation = 2;
  put_kek(daemon, impostor);

  daemon.start();
  BOOST_TEST(comes_to_warn(daemon, "KEK generation 2 failed its proof"));
  BOOST_TEST(logs(daemon, "a KEK failed its proof"));
  BOOST_TEST(logs(daemon, "impostor_kek"));

  BOOST_TEST(daemon.stop() == 0);
  put_kek(daemon, good);
  daemon.start();
  std::this_thread::sleep_for(std::chrono::seconds(3));
  BOOST_TEST(!warns(daemon, "failed its proof"));
}

BOOST_AUTO_TEST_CASE(a_generation_whose_two_files_are_damaged_is_told_at_start) {
  const Swtpm tpm;
  Daemon daemon(tpm.tcti());
  test::make_enabled_cluster(daemon, "tpm");
  BOOST_TEST(daemon.stop() == 0);
  for (const char* name : {"/tpm/kek-1", "/tpm/kek-1.copy"}) {
    std::fstream file(daemon.state_directory() + name, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(150);
    file.put('\n');
  }
  daemon.start();
  BOOST_TEST(comes_to_warn(daemon, "KEK generation 1 failed its proof"));
  BOOST_TEST(logs(daemon, "store_damaged"));
}

// tpm2-tss writes to standard error whatever a TPM refuses, in lines of its own; ours have cause and way out.
BOOST_AUTO_TEST_CASE(a_refusal_of_the_tpm_stands_in_our_lines_of_the_log_only) {
  Swtpm tpm;
  ::unsetenv("TSS2_LOG");  // as the service manager starts it
  Daemon daemon(tpm.tcti());
  test::make_enabled_cluster(daemon, "tpm");
  tpm.power_cycle();
  tpm.extend_pcr(7, "another Secure Boot state");
  BOOST_TEST(daemon.control({"rotate", "cluster-root-key", "--wait", "--timeout", "5"}).status != 0);
  BOOST_TEST(daemon.stop() == 0);
  tpm.stop();
  daemon.start();
  BOOST_TEST(daemon.control({"node", "boot-state"}).status != 0);
  BOOST_TEST(!logs(daemon, "ERROR:"), daemon.log());
  BOOST_TEST(!logs(daemon, "WARNING:"), daemon.log());
}

// At these levels tpm2-tss dumps its buffers: with TSS2_LOG=all+trace a group key stands in its log.
BOOST_AUTO_TEST_CASE(nobody_can_ask_the_daemon_for_the_tpm_librarys_dumps) {
  for (const char* asked : {"all+trace", "all+error,esys+DEBUG"}) {
    ::setenv("TSS2_LOG", asked, 1);
    const Swtpm tpm;
    const Daemon daemon(tpm.tcti());
    test::make_enabled_cluster(daemon, "tpm");
    BOOST_TEST(!logs(daemon, "tcti:src"));
    BOOST_TEST(!logs(daemon, "esys:src"));
  }
  ::unsetenv("TSS2_LOG");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
