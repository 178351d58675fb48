// A rotation that cannot be proved, on a real daemon: it stays in DistributingKEK, and --abort takes it back.
#define BOOST_TEST_DYN_LINK
#include <tss2/tss2_tpm2_types.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <thread>

#include "tests/support/daemon_checks.hpp"
#include "tests/support/scraped.hpp"
#include "tests/support/swtpm.hpp"
#include "tests/support/tcti_proxy.hpp"

namespace volcrypt {

namespace {

using test::CommandResult;
using test::Daemon;
using test::must_succeed;

std::string waits_for(const Daemon& daemon) {
  const auto rotation = daemon.ask({"get", "clusterinfo"}).at("rotation");
  const auto& text = rotation.at("waitingFor");
  return text.is_null() ? "" : std::string(text.as_string().c_str());
}

bool holds_kek(const Daemon& daemon, int generation) {
  return std::filesystem::exists(daemon.state_directory() + "/tpm/kek-" + std::to_string(generation));
}

template <class Condition>
bool comes(Condition condition) {
  for (int i = 0; i < 600; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(agent_tpm_abort)

BOOST_AUTO_TEST_CASE(a_rotation_that_cannot_be_proved_is_aborted_and_its_number_is_never_used_again) {
  const test::Swtpm tpm;
  test::TctiProxy proxy(tpm.socket());
  Daemon daemon(proxy.tcti());
  test::make_enabled_cluster(daemon, "tpm");
  // Certified, used, read back and duplicated to the recovery key: four loads. The fifth is the proof's.
  proxy.order({test::Fault::busy, TPM2_CC_Load, 4, 1'000'000, 0});
  must_succeed(daemon.control({"rotate", "cluster-root-key"}));
  BOOST_TEST(comes([&] { return !waits_for(daemon).empty(); }));
  BOOST_TEST(waits_for(daemon).find("has not proved KEK generation 2") != std::string::npos, waits_for(daemon));
  BOOST_TEST(test::encryption_state(daemon).at("rotationState").as_string() == "DistributingKEK");
  BOOST_TEST(test::Scraped(daemon).rotation() == "DistributingKEK");
  BOOST_TEST(test::encryption_state(daemon).at("currentKekGeneration").to_number<int>() == 1);
  BOOST_TEST(holds_kek(daemon, 2));

  const auto aborted = daemon.ask({"rotate", "cluster-root-key", "--abort"});
  BOOST_TEST(aborted.at("changed").as_bool());
  BOOST_TEST(aborted.at("burntKekGeneration").to_number<int>() == 2);
  BOOST_TEST(comes([&] { return !holds_kek(daemon, 2); }));
  BOOST_TEST(!holds_kek(daemon, 2));
  BOOST_TEST(comes([&] { return !std::filesystem::exists(daemon.state_directory() + "/recovery/2.json"); }));
  BOOST_TEST(std::filesystem::exists(daemon.state_directory() + "/recovery/1.json"));
  test::must_be_at_rest(daemon, 1);
  BOOST_TEST(comes([&] { return waits_for(daemon).empty(); }));
  BOOST_TEST(daemon.log().find("the rotation was aborted") != std::string::npos);
  const CommandResult again = daemon.control({"rotate", "cluster-root-key", "--abort"});
  must_succeed(again);
  BOOST_TEST(again.out.find("nothing changed") != std::string::npos, again.out);

  proxy.order({});
  must_succeed(daemon.control({"rotate", "cluster-root-key", "--wait", "--timeout", "120"}));
  test::must_be_at_rest(daemon, 3);
  BOOST_TEST(test::encryption_state(daemon).at("highestKekGenerationUsed").to_number<int>() == 3);
  daemon.kill();
  daemon.start();
  test::must_be_at_rest(daemon, 3);
}

BOOST_AUTO_TEST_CASE(before_encryption_is_enabled_there_is_nothing_to_abort) {
  const test::Swtpm tpm;
  const Daemon daemon(tpm.tcti());
  must_succeed(daemon.init());
  const CommandResult refused = daemon.control({"rotate", "cluster-root-key", "--abort"});
  BOOST_TEST(refused.status == 4);
  BOOST_TEST(refused.err.find("not enabled") != std::string::npos, refused.err);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
