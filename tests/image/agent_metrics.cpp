// The daemon's numbers, scraped over its socket while an operator works: every one of them is seen to change.
#include <chrono>
#include <thread>

#include "tests/support/daemon_checks.hpp"
#include "tests/support/scraped.hpp"

namespace volcrypt {

namespace {

using test::Daemon;
using test::Drives;
using test::must_succeed;
using test::Scraped;

// Bounded by patience alone: rotations go on in the background.
bool comes_to(const Daemon& daemon, const std::string& rotation) {
  for (int i = 0; i < 600; ++i) {
    if (Scraped(daemon).rotation() == rotation) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  BOOST_TEST_MESSAGE(daemon.metrics());
  return false;
}

struct Enabled {
  Daemon daemon{"none", Drives::files};
  Enabled() { test::make_enabled_cluster(daemon, "software"); }
  void create(const std::string& name) const {
    must_succeed(daemon.control({"create", "volume", name, "--device", daemon.plug(name)}));
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(agent_metrics, Enabled)

BOOST_AUTO_TEST_CASE(volumes_are_counted_by_state_and_generation) {
  BOOST_TEST(daemon.metrics().find("volcrypt_volumes{") == std::string::npos);
  create("data1");
  create("data2");
  BOOST_TEST(Scraped(daemon).volumes("attached", 1) == 2);
  must_succeed(daemon.control({"detach", "data1"}));
  const Scraped detached(daemon);
  BOOST_TEST(detached.volumes("attached", 1) == 1);
  BOOST_TEST(detached.volumes("detached", 1) == 1);
  daemon.unplug("data1");
  must_succeed(daemon.control({"rotate", "cluster-root-key", "--wait", "--timeout", "100"}));
  must_succeed(daemon.control({"get", "volumes"}));
  const Scraped rotated(daemon);
  BOOST_TEST(rotated.volumes("attached", 2) == 1);
  BOOST_TEST(rotated.volumes("absent", 1) == 1);
  BOOST_TEST(!rotated.has("volcrypt_volumes{generation=\"1\",state=\"attached\"}"), "a state without volumes goes");
  must_succeed(daemon.control({"delete", "volume", "data2", "--yes"}));
  must_succeed(daemon.control({"get", "volumes"}));
  BOOST_TEST(!Scraped(daemon).has("volcrypt_volumes{generation=\"2\",state=\"attached\"}"));
}

BOOST_AUTO_TEST_CASE(unwraps_and_rewraps_are_counted_where_they_happen) {
  create("data1");
  create("data2");
  must_succeed(daemon.control({"detach", "data1"}));
  const Scraped before(daemon);
  BOOST_TEST(before.rewraps() == 0);
  must_succeed(daemon.control({"attach", "data1"}));
  const Scraped attached(daemon);
  BOOST_TEST(attached.unwraps() == before.unwraps() + 1);
  BOOST_TEST(attached.rewraps() == 0);
  must_succeed(daemon.control({"rotate", "cluster-root-key", "--wait", "--timeout", "100"}));
  const Scraped rotated(daemon);
  BOOST_TEST(rotated.rewraps() == 2);
  BOOST_TEST(rotated.unwraps() > attached.unwraps());
  BOOST_TEST(Scraped(daemon).rewraps() == 2, "a scrape counts nothing twice");
}

BOOST_AUTO_TEST_CASE(the_rotation_state_is_told_while_it_holds) {
  create("data1");
  const Scraped before(daemon);
  BOOST_TEST(before.rotation() == "NoRotation");
  BOOST_TEST(before.generation() == 1);
  daemon.hold("rewrap");
  must_succeed(daemon.control({"rotate", "cluster-root-key"}));
  BOOST_TEST(comes_to(daemon, "EncryptingDEKs"));
  BOOST_TEST(Scraped(daemon).generation() == 2);
  daemon.let_go("rewrap");
  BOOST_TEST(comes_to(daemon, "NoRotation"));
}

BOOST_AUTO_TEST_CASE(errors_are_counted_by_kind) {
  const Scraped before(daemon);
  BOOST_TEST(before.errors("no_such_volume") == 0);
  BOOST_TEST(daemon.control({"get", "volume", "none"}).status == 5);
  BOOST_TEST(daemon.control({"attach", "none"}).status == 5);
  BOOST_TEST(daemon.control({"create", "volume", "no good name", "--device", daemon.plug("vda")}).status == 2);
  const Scraped after(daemon);
  BOOST_TEST(after.errors("no_such_volume") == 2);
  BOOST_TEST(after.errors("invalid_argument") == before.errors("invalid_argument") + 1);
}

BOOST_AUTO_TEST_CASE(without_a_tpm_no_tpm_command_is_timed_and_no_volume_is_named) {
  create("a-telling-name");
  const std::string text = daemon.metrics();
  BOOST_TEST(text.find("volcrypt_tpm_command_seconds_count") == std::string::npos);
  BOOST_TEST(text.find("telling") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
