// The one-server story without drives, as both protections tell it: init, enable, rotate, restart. For the agent's
// tests.
#pragma once

#include <boost/json/value.hpp>
#include <boost/test/unit_test.hpp>
#include <string>

#include "tests/support/daemon.hpp"

namespace volcrypt::test {

inline boost::json::value encryption_state(const Daemon& daemon) {
  return daemon.ask({"get", "clusterinfo"}).at("encryptionState");
}

inline void must_succeed(const CommandResult& result) {
  BOOST_REQUIRE_MESSAGE(result.status == 0, "status " << result.status << ": " << result.err << result.out);
}

inline void make_enabled_cluster(const Daemon& daemon, const std::string& protection) {
  must_succeed(daemon.init());
  must_succeed(daemon.control({"enable", "feature-flag", "cluster-encryption"}));
  must_succeed(daemon.control({"enable", "cluster-encryption", "--protection", protection}));
  const auto state = encryption_state(daemon);
  BOOST_TEST(state.at("state").as_string() == "Enabled");
  BOOST_TEST(state.at("keyProtection").as_string() == protection);
  BOOST_TEST(state.at("currentKekGeneration").to_number<int>() == 1);
}

inline void must_be_at_rest(const Daemon& daemon, int generation) {
  const auto state = encryption_state(daemon);
  BOOST_TEST(state.at("state").as_string() == "Enabled");
  BOOST_TEST(state.at("rotationState").as_string() == "NoRotation");
  BOOST_TEST(state.at("currentKekGeneration").to_number<int>() == generation);
  BOOST_TEST(state.at("previousKekGenerations").as_array().empty());
}

inline void tell_the_story(Daemon& daemon, const std::string& protection) {
  make_enabled_cluster(daemon, protection);
  must_be_at_rest(daemon, 1);
  must_succeed(daemon.control({"rotate", "cluster-root-key", "--wait", "--timeout", "120"}));
  must_be_at_rest(daemon, 2);

  BOOST_TEST(daemon.stop() == 0);
  daemon.start();
  must_be_at_rest(daemon, 2);
  must_succeed(daemon.control({"rotate", "cluster-root-key", "--wait", "--timeout", "120"}));
  must_be_at_rest(daemon, 3);

  daemon.kill();
  daemon.start();
  must_be_at_rest(daemon, 3);
  must_succeed(
      daemon.control({"recovery", "verify", "--recovery-file", daemon.path("recovery.json")}, {recovery_passphrase}));
  BOOST_TEST(daemon.ask({"get", "volumes"}).at("volumes").as_array().empty());
}

}  // namespace volcrypt::test
