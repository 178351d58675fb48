// `cluster init` and the TPM: one that cannot be used makes no cluster, unless it is left out on purpose; a late one is
// waited for. Real daemon, real volcryptctl, software TPM.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <thread>

#include "tests/support/daemon_checks.hpp"
#include "tests/support/swtpm.hpp"
#include "tests/support/tcti_proxy.hpp"
#include "tests/support/tpm_mischief.hpp"

namespace volcrypt {

namespace {

using test::CommandResult;
using test::Daemon;
using test::must_succeed;
using test::Swtpm;

bool told(const CommandResult& result, const std::string& words) { return result.err.find(words) != std::string::npos; }

bool has_cluster(const Daemon& daemon) { return !daemon.ask({"get", "clusterinfo"}).at("cluster").is_null(); }

void must_be_refused(const CommandResult& refused) {
  BOOST_TEST(refused.status == 10, refused.err);
  BOOST_TEST(told(refused, "No cluster was made"), refused.err);
  BOOST_TEST(told(refused, "cluster init --without-tpm"), refused.err);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(agent_tpm_init)

BOOST_AUTO_TEST_CASE(an_absent_tpm_is_told_before_a_passphrase_is_asked_and_no_cluster_is_made) {
  Swtpm tpm;
  tpm.stop();
  const Daemon daemon(tpm.tcti(), "tpm-wait = 0\n");
  const CommandResult refused = daemon.init();
  must_be_refused(refused);
  BOOST_TEST(told(refused, tpm.tcti()), refused.err);
  BOOST_TEST(!std::filesystem::exists(daemon.path("authority.json")));
  tpm.start();
  BOOST_TEST(!has_cluster(daemon));
  test::make_enabled_cluster(daemon, "tpm");
}

BOOST_AUTO_TEST_CASE(a_busy_tpm_makes_no_cluster) {
  const Swtpm tpm;
  test::TctiProxy proxy(tpm.socket());
  const Daemon daemon(proxy.tcti(), "tpm-wait = 0\n");
  proxy.order({test::Fault::busy, 0, 0, 1'000'000, 0});
  must_be_refused(daemon.init());
  BOOST_TEST(proxy.harmed() > 0U);
  proxy.order({});
  BOOST_TEST(!has_cluster(daemon));
}

// As a TPM with an owner password: the look before the passphrases cannot know it.
BOOST_AUTO_TEST_CASE(an_unsuitable_tpm_makes_no_cluster_and_the_key_files_serve_the_next_try) {
  const Swtpm tpm;
  const Daemon daemon(tpm.tcti(), "tpm-wait = 0\n");
  test::set_owner_password(tpm.tcti());
  const CommandResult refused = daemon.init();
  must_be_refused(refused);
  BOOST_TEST(told(refused, "owner"), refused.err);
  BOOST_TEST(told(refused, "--reuse-keys"), refused.err);
  BOOST_TEST(!has_cluster(daemon));
  test::remove_owner_password(tpm.tcti());
  must_succeed(daemon.init({"--reuse-keys"}));
  BOOST_TEST(has_cluster(daemon));
}

BOOST_AUTO_TEST_CASE(a_cluster_made_without_its_tpm_on_purpose_stays_without_and_says_so) {
  const Swtpm tpm;
  const Daemon daemon(tpm.tcti());
  must_succeed(daemon.init({"--without-tpm"}));
  must_succeed(daemon.control({"enable", "feature-flag", "cluster-encryption"}));
  for (const bool check : {true, false}) {
    std::vector<std::string> words = {"enable", "cluster-encryption", "--protection", "tpm"};
    if (check) words.emplace_back("--check");
    const CommandResult refused = daemon.control(words);
    BOOST_TEST(refused.status == 4, refused.err);
    BOOST_TEST((refused.out + refused.err).find("made without a TPM") != std::string::npos, refused.err);
    BOOST_TEST((refused.out + refused.err).find("--protection software") != std::string::npos, refused.err);
  }
  must_succeed(daemon.control({"enable", "cluster-encryption", "--protection", "software"}));
}

BOOST_AUTO_TEST_CASE(a_tpm_that_appears_late_is_waited_for) {
  Swtpm tpm;
  tpm.stop();
  const Daemon daemon(tpm.tcti(), "tpm-wait = 120\n");
  CommandResult made;
  std::thread administrator([&] { made = daemon.init(); });
  std::this_thread::sleep_for(std::chrono::seconds(1));
  tpm.start();  // on this thread: swtpm ends with the thread that started it
  administrator.join();
  must_succeed(made);
  BOOST_TEST(!daemon.ask({"get", "clusterinfo"}).at("bootState").at("pcrs").as_array().empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
