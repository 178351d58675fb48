// The daemon with a TPM (swtpm): the story, sealed out and approved again, TPM absent, and power cycles.
#include "tests/support/daemon_checks.hpp"
#include "tests/support/swtpm.hpp"

namespace volcrypt {

namespace {

using test::CommandResult;
using test::Daemon;
using test::must_succeed;
using test::Swtpm;

}  // namespace

BOOST_AUTO_TEST_SUITE(agent_tpm)

BOOST_AUTO_TEST_CASE(a_cluster_is_made_enabled_rotated_and_survives_restarts) {
  const Swtpm tpm;
  Daemon daemon(tpm.tcti());
  test::tell_the_story(daemon, "tpm");
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
  BOOST_TEST(daemon.ask({"get", "clusterinfo"}).at("bootState").at("approvedNow").as_bool());
  must_succeed(daemon.control({"rotate", "cluster-root-key", "--wait", "--timeout", "120"}));
  test::must_be_at_rest(daemon, 2);
}

BOOST_AUTO_TEST_CASE(a_tpm_that_is_absent_is_named_and_software_protection_remains_possible) {
  Swtpm tpm;
  tpm.stop();
  const Daemon daemon(tpm.tcti());
  must_succeed(daemon.init());
  must_succeed(daemon.control({"enable", "feature-flag", "cluster-encryption"}));
  const CommandResult refused = daemon.control({"enable", "cluster-encryption", "--protection", "tpm"});
  BOOST_TEST(refused.status != 0);
  BOOST_TEST(refused.err.find("TPM") != std::string::npos);
  must_succeed(daemon.control({"enable", "cluster-encryption", "--protection", "software"}));
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

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
