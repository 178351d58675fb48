// The daemon in software protection: the story, refusals with their exit codes, what it leaves on disk, what it needs.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/daemon_checks.hpp"
#include "tests/support/scraped.hpp"

namespace volcrypt {

namespace {

using test::CommandResult;
using test::Daemon;
using test::must_succeed;

std::size_t resident_kib(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
  return 0;
}

bool told(const CommandResult& result, const std::string& words) { return result.err.find(words) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_SUITE(agent_software)

BOOST_AUTO_TEST_CASE(a_cluster_without_tpm_is_made_enabled_rotated_and_survives_restarts) {
  Daemon daemon("none");
  test::tell_the_story(daemon, "software");
}

BOOST_AUTO_TEST_CASE(before_init_every_verb_says_what_to_do_first) {
  const Daemon daemon("none");
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"enable", "feature-flag", "cluster-encryption"},
                                             {"enable", "cluster-encryption", "--protection", "software"},
                                             {"rotate", "cluster-root-key"},
                                             {"create", "volume", "data1", "--device", "/dev/null"}}) {
    const CommandResult result = daemon.control(words);
    BOOST_TEST_CONTEXT(words.front() << ": " << result.err) {
      BOOST_TEST(result.status == 4);
      BOOST_TEST(told(result, "cluster init"));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_cluster_made_without_a_tpm_says_so_when_tpm_protection_is_asked_for) {
  const Daemon daemon("none");
  must_succeed(daemon.init());
  must_succeed(daemon.control({"enable", "feature-flag", "cluster-encryption"}));
  const CommandResult result = daemon.control({"enable", "cluster-encryption", "--protection", "tpm"});
  BOOST_TEST(result.status == 4);
  BOOST_TEST(told(result, "made without a TPM"), result.err);
  BOOST_TEST(told(result, "--protection software"));
  BOOST_TEST(told(result, "move its state directory aside"));
  must_succeed(daemon.control({"enable", "cluster-encryption", "--protection", "software"}));
}

BOOST_AUTO_TEST_CASE(a_cluster_is_not_made_without_a_tpm_unless_that_is_asked_for) {
  const Daemon daemon("none");
  const CommandResult refused = daemon.control(
      {"cluster", "init", "--authority-file", daemon.path("a.json"), "--recovery-file", daemon.path("r.json")},
      {test::authority_passphrase, test::recovery_passphrase});
  BOOST_TEST(refused.status == 10);
  BOOST_TEST(told(refused, "--without-tpm"), refused.err);
  BOOST_TEST(daemon.ask({"get", "clusterinfo"}).at("cluster").is_null());
  must_succeed(daemon.control({"cluster", "init", "--without-tpm", "--reuse-keys", "--authority-file",
                               daemon.path("a.json"), "--recovery-file", daemon.path("r.json")},
                              {test::authority_passphrase, test::recovery_passphrase}));
}

BOOST_AUTO_TEST_CASE(the_journal_tells_that_a_cluster_was_made_and_the_recovery_key_verified) {
  const Daemon daemon("none");
  test::make_enabled_cluster(daemon, "software");
  const std::string cluster = daemon.ask({"get", "clusterinfo"}).at("cluster").at("id").as_string().c_str();
  BOOST_TEST(daemon.log().find("a cluster was made cluster=" + cluster + " name=test authority=") != std::string::npos,
             daemon.log());
  BOOST_TEST(daemon.log().find("recovery blob") == std::string::npos);
  must_succeed(daemon.control({"recovery", "verify", "--recovery-file", daemon.path("recovery.json")},
                              {test::recovery_passphrase}));
  BOOST_TEST(daemon.log().find("the recovery key opened every recovery blob generations=1 uid=") != std::string::npos,
             daemon.log());
}

BOOST_AUTO_TEST_CASE(a_second_init_is_refused_and_the_cluster_stays_as_it_was) {
  const Daemon daemon("none");
  must_succeed(daemon.init());
  const auto before = daemon.ask({"get", "clusterinfo"}).at("cluster").at("id");
  const CommandResult again = daemon.control(
      {"cluster", "init", "--authority-file", daemon.path("a2.json"), "--recovery-file", daemon.path("r2.json")},
      {test::authority_passphrase, test::recovery_passphrase});
  BOOST_TEST(again.status == 4);
  BOOST_TEST((daemon.ask({"get", "clusterinfo"}).at("cluster").at("id") == before));
}

BOOST_AUTO_TEST_CASE(a_file_that_is_no_block_device_is_not_formatted) {
  const Daemon daemon("none");
  test::make_enabled_cluster(daemon, "software");
  const std::string file = daemon.path("image");
  std::ofstream(file).close();
  std::filesystem::resize_file(file, 64 << 20);
  const CommandResult result = daemon.control({"create", "volume", "data1", "--device", file});
  BOOST_TEST(result.status != 0);
  BOOST_TEST(told(result, "block device"));
  const CommandResult absent = daemon.control({"create", "volume", "data1", "--device", "/dev/volcrypt-not-there"});
  BOOST_TEST(absent.status != 0);
  BOOST_TEST(told(absent, "/dev/volcrypt-not-there"));
}

BOOST_AUTO_TEST_CASE(nothing_in_the_state_directory_is_readable_by_others) {
  const Daemon daemon("none");
  test::make_enabled_cluster(daemon, "software");
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(daemon.state_directory())) {
    const auto others =
        entry.status().permissions() & (std::filesystem::perms::group_all | std::filesystem::perms::others_all);
    BOOST_TEST_CONTEXT(entry.path().string()) { BOOST_TEST((others == std::filesystem::perms::none)); }
    ++files;
  }
  BOOST_TEST(files > 4U);
}

BOOST_AUTO_TEST_CASE(a_store_that_is_damaged_is_left_as_it_is_and_the_daemon_says_so) {
  Daemon daemon("none");
  test::make_enabled_cluster(daemon, "software");
  BOOST_TEST(daemon.stop() == 0);
  const std::string store = daemon.state_directory() + "/store.db";
  const std::string rubbish(4096, 'x');
  std::filesystem::remove(store + "-wal");
  std::ofstream(store, std::ios::binary) << rubbish;
  BOOST_CHECK_THROW(daemon.start(), std::exception);  // clusterinfo cannot be told; the process lives
  BOOST_TEST(daemon.pid() > 0);
  BOOST_TEST(daemon.log().find("store") != std::string::npos);
  std::ostringstream now;
  now << std::ifstream(store, std::ios::binary).rdbuf();
  BOOST_TEST((now.str() == rubbish));
  const auto failures = [&] { return test::Scraped(daemon).errors("store_damaged"); };
  const double before = failures();
  for (int scrape = 0; scrape < 20; ++scrape) failures();
  BOOST_TEST(failures() >= before + 20, "a scrape that cannot ask the store counts that");
}

BOOST_AUTO_TEST_CASE(the_idle_daemon_is_small_and_not_dumpable) {
  const Daemon daemon("none");
  test::make_enabled_cluster(daemon, "software");
  const std::size_t resident = resident_kib(daemon.pid());
  BOOST_TEST_MESSAGE("resident: " << resident << " KiB");
  BOOST_TEST(resident > 0U);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  BOOST_TEST(resident < 32U * 1024);
#endif
  std::ifstream limits("/proc/" + std::to_string(daemon.pid()) + "/limits");
  std::string all((std::istreambuf_iterator<char>(limits)), {});
  BOOST_TEST(all.find("Max core file size        0                    0") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
