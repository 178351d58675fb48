// volcryptctl's verbs where a TPM makes a difference, as processes against a daemon with a software TPM: table, JSON
// and YAML of each say the same, and what the verb is for has happened. The others:
// tests/image/agent_cluster_verbs.cpp.
#define BOOST_TEST_DYN_LINK
#include <tss2/tss2_tpm2_types.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <thread>

#include "tests/support/daemon_checks.hpp"
#include "tests/support/swtpm.hpp"
#include "tests/support/tcti_proxy.hpp"
#include "tests/support/verb_formats.hpp"

namespace volcrypt {

namespace {

using test::Daemon;
using test::holds;
using test::must_succeed;
using test::Told;
using test::Words;

struct EnabledTpm {
  test::Swtpm tpm;
  test::TctiProxy proxy{tpm.socket()};
  Daemon daemon{proxy.tcti()};

  EnabledTpm() { test::make_enabled_cluster(daemon, "tpm"); }
  Told in_all_formats(const Words& words, const test::Circumstances& circumstances = {}) const {
    return test::in_all_formats(daemon, words, circumstances);
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(agent_tpm_verbs, EnabledTpm)

BOOST_AUTO_TEST_CASE(the_pcr_policy_the_maker_and_the_boot_state_are_told) {
  const Told info = in_all_formats({"get", "clusterinfo"});
  BOOST_TEST(holds(info.table, "\nPCR policy:                PCR 7, this boot is approved\n"));
  BOOST_TEST(holds(info.table, "\nKey protection:            tpm\n"));
  BOOST_TEST(info.document.at("bootState").at("pcrs").at(0).to_number<int>() == 7);

  const Told nodes = in_all_formats({"get", "nodes"});
  const std::string maker = nodes.document.at("nodes").at(0).at("tpm").as_string().c_str();
  BOOST_TEST(!maker.empty());
  BOOST_TEST(holds(nodes.table, maker));

  const Told state = in_all_formats({"node", "boot-state"});
  const std::string digest = state.document.at("digestNow").as_string().c_str();
  BOOST_TEST(digest.size() == 64u);
  BOOST_TEST(state.document.at("approved").at(0).at("digest").as_string() == digest);
  BOOST_TEST(holds(state.table, digest + " (this boot)\n"));
  BOOST_TEST(holds(state.table, "The next boot opens the volumes if "));
}

BOOST_AUTO_TEST_CASE(a_boot_state_is_approved_once_and_the_policys_row_follows) {
  const auto seal_out = [&] { tpm.extend_pcr(7, "another Secure Boot state"); };
  seal_out();
  const Told sealed = in_all_formats({"get", "clusterinfo"});
  BOOST_TEST(holds(sealed.table, "\nPCR policy:                PCR 7, this boot is NOT approved\n"));
  BOOST_TEST(holds(sealed.table, "Sealed out: "));
  BOOST_TEST(holds(in_all_formats({"node", "boot-state"}).table, "SEALED OUT: "));

  const Words approve{"node", "approve-boot-state", "--authority-file", daemon.path("authority.json")};
  const Told told = in_all_formats(approve, {.prepare = seal_out, .passphrases = {test::authority_passphrase}});
  BOOST_TEST(told.document.at("changed").as_bool());
  BOOST_TEST(told.document.at("digest").as_string().size() == 64u);
  BOOST_TEST(holds(told.table, " is approved; the same keys open in it.\n"));
  BOOST_TEST(holds(in_all_formats({"get", "clusterinfo"}).table, "PCR 7, this boot is approved\n"));

  const Told again = in_all_formats(approve);
  BOOST_TEST(again.table == "This boot state is approved already; nothing changed.\n");
  BOOST_TEST(!again.document.at("changed").as_bool());
}

BOOST_AUTO_TEST_CASE(an_aborted_rotation_tells_the_number_that_it_burnt) {
  const auto waits = [&] { return !daemon.ask({"get", "clusterinfo"}).at("rotation").at("waitingFor").is_null(); };
  const auto begin_and_fail = [&] {
    // As in agent_tpm_abort.cpp: the fifth load is the proof's.
    proxy.order({test::Fault::busy, TPM2_CC_Load, 4, 1'000'000, 0});
    must_succeed(daemon.control({"rotate", "cluster-root-key"}));
    for (int i = 0; i < 600 && !waits(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  };
  const Told told = in_all_formats({"rotate", "cluster-root-key", "--abort"}, {.prepare = begin_and_fail});
  BOOST_TEST(holds(told.table, "The rotation was aborted: KEK generation 2 is destroyed, "));
  BOOST_TEST(told.document.at("changed").as_bool());
  BOOST_TEST(told.document.at("burntKekGeneration").to_number<int>() == 3);
  proxy.order({});
  test::must_be_at_rest(daemon, 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
