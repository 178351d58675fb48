// volcryptctl's verbs on the cluster, the node, rotation and recovery as processes against a daemon over plain files:
// table, JSON and YAML of each say the same, the exit status is as the manual page says, and what the verb is for has
// happened. Software protection; tests/tpm/agent_tpm_verbs.cpp has what a TPM adds.
#include <chrono>
#include <filesystem>
#include <map>
#include <thread>

#include "tests/support/daemon_checks.hpp"
#include "tests/support/verb_formats.hpp"

namespace volcrypt {

namespace {

using test::Daemon;
using test::Drives;
using test::holds;
using test::must_succeed;
using test::Told;
using test::Words;

const Words feature_flag{"enable", "feature-flag", "cluster-encryption"};
const Words enable{"enable", "cluster-encryption", "--protection", "software"};
const Words check{"enable", "cluster-encryption", "--protection", "software", "--check"};

// A node for each format, so that a verb that works once does so in each.
struct NodePerFormat {
  std::map<std::string, Daemon> nodes;

  NodePerFormat() {
    for (const auto* format : {"table", "json", "yaml"})
      nodes.try_emplace(format, "none", Daemon::short_wait, Drives::files);
  }
  Told in_all_formats(const Words& words, int status = 0) {
    return test::in_all_formats(
        [&](const Words& format) {
          Words all = words;
          all.insert(all.end(), format.begin(), format.end());
          return nodes.at(format.back()).control(all);
        },
        status);
  }
  Told init() {
    return test::in_all_formats([&](const Words& format) { return nodes.at(format.back()).init(format); });
  }
  std::string state() { return test::encryption_state(nodes.at("yaml")).at("state").as_string().c_str(); }
};

struct Enabled {
  Daemon daemon{"none", Drives::files};
  Enabled() { test::make_enabled_cluster(daemon, "software"); }
};

// One for all cases that change nothing another one looks at.
const Daemon& standing() {
  static const Enabled enabled;
  return enabled.daemon;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(agent_cluster_verbs)

BOOST_FIXTURE_TEST_CASE(the_way_to_an_enabled_cluster_is_told_at_each_step_and_a_repeated_one_changes_nothing,
                        NodePerFormat) {
  const Told made = init();
  for (const auto* row : {"Cluster:", "Node:", "TPM:", "left out", "PCRs bound:", "none", "Authority key:",
                          "Recovery key:", "Next: `volcryptctl enable feature-flag cluster-encryption`"})
    BOOST_TEST(holds(made.table, row), row);
  for (const auto* file : {"authorityFile", "recoveryFile"})
    BOOST_TEST(std::filesystem::exists(made.document.at(file).as_string().c_str()), file);
  for (const auto* id : {"cluster", "node"}) BOOST_TEST(made.document.at(id).as_string().size() == 36u, id);

  const Told refused = in_all_formats(check, 4);
  BOOST_TEST(holds(refused.table, "The feature flag is off"));
  BOOST_TEST(!refused.document.at("ready").as_bool());
  BOOST_TEST(!refused.document.at("nodes").at(0).at("failures").as_array().empty());

  const Told flag = in_all_formats(feature_flag);
  BOOST_TEST(flag.table == "Feature flag cluster-encryption is on.\n");
  BOOST_TEST(flag.document.at("changed").as_bool());
  const Told flag_again = in_all_formats(feature_flag);
  BOOST_TEST(flag_again.table == "Feature flag cluster-encryption was on already; nothing changed.\n");
  BOOST_TEST(!flag_again.document.at("changed").as_bool());

  const Told ready = in_all_formats(check);
  BOOST_TEST(holds(ready.table, " ready\n"));
  BOOST_TEST(ready.document.at("ready").as_bool());
  BOOST_TEST(ready.document.at("nodes").at(0).at("failures").as_array().empty());
  BOOST_TEST(state() == "Disabled");

  const Told enabled = in_all_formats(enable);
  BOOST_TEST(enabled.table == "Cluster encryption is enabled (software).\n");
  BOOST_TEST(enabled.document.at("changed").as_bool());
  BOOST_TEST(state() == "Enabled");
  const Told enabled_again = in_all_formats(enable);
  BOOST_TEST(enabled_again.table == "Cluster encryption was enabled already; nothing changed.\n");
  BOOST_TEST(!enabled_again.document.at("changed").as_bool());
}

BOOST_AUTO_TEST_CASE(get_clusterinfo_tells_state_and_policy) {
  const Told told = test::in_all_formats(standing(), {"get", "clusterinfo"});
  BOOST_TEST(told.document.at("encryptionState").at("state").as_string() == "Enabled");
  for (const auto* row : {"Encryption state:", "Enabled",
                          "Key protection:", "Current KEK generation:", "none (software protection)", "NoRotation"})
    BOOST_TEST(holds(told.table, row), row);
  BOOST_TEST(told.document.at("bootState").at("pcrs").as_array().empty());
}

BOOST_AUTO_TEST_CASE(get_nodes_lists_the_one_member) {
  const Told told = test::in_all_formats(standing(), {"get", "nodes"});
  const auto& nodes = told.document.at("nodes").as_array();
  BOOST_REQUIRE(nodes.size() == 1u);
  BOOST_TEST(nodes[0].at("tpm").is_null());
  const std::string name = nodes[0].at("name").as_string().c_str(), id = nodes[0].at("id").as_string().c_str();
  BOOST_TEST(id == standing().ask({"node", "boot-state"}).at("node").as_string().c_str());
  for (const auto& cell : {std::string("NAME"), std::string("ADDRESSES"), name, id})
    BOOST_TEST(holds(told.table, cell), cell);
}

BOOST_AUTO_TEST_CASE(node_boot_state_has_a_forecast) {
  const Told told = test::in_all_formats(standing(), {"node", "boot-state"});
  BOOST_TEST(told.document.at("approvedNow").as_bool());
  BOOST_TEST(holds(told.document.at("forecast").as_string().c_str(), "No PCRs are bound"));
  for (const auto* row : {"PCRs bound:", "Secure Boot:", "Forecast:", "No PCRs are bound: the keys open at every boot"})
    BOOST_TEST(holds(told.table, row), row);
}

BOOST_AUTO_TEST_CASE(without_bound_pcrs_there_is_nothing_to_approve) {
  const Told told = test::in_all_formats(
      standing(), {"node", "approve-boot-state", "--authority-file", standing().path("authority.json")});
  BOOST_TEST(told.table == "No PCRs are bound: there is nothing to approve.\n");
  BOOST_TEST(!told.document.at("changed").as_bool());
}

BOOST_FIXTURE_TEST_CASE(rotate_waits_for_the_new_generation_and_tells_its_number, Enabled) {
  must_succeed(daemon.control({"create", "volume", "data1", "--device", daemon.plug("vdb")}));
  const Told told = test::in_all_formats(daemon, {"rotate", "cluster-root-key", "--wait", "--timeout", "100"});
  BOOST_TEST(told.table == "Generation 2 is current.\n");
  BOOST_TEST(told.document.at("rotationState").as_string() == "NoRotation");
  BOOST_TEST(told.document.at("currentKekGeneration").to_number<int>() == 3);
  BOOST_TEST(daemon.ask({"get", "volume", "data1"}).at("kekGeneration").to_number<int>() == 4);
}

BOOST_FIXTURE_TEST_CASE(rotate_without_waiting_tells_the_new_number_and_where_to_look, Enabled) {
  const auto wait = [&] {  // for the one before
    while (test::encryption_state(daemon).at("rotationState").as_string() != "NoRotation")
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
  };
  const Told told = test::in_all_formats(daemon, {"rotate", "cluster-root-key"}, {.prepare = wait});
  BOOST_TEST(told.table == "Rotation to generation 2 has begun; follow it with `volcryptctl get clusterinfo`.\n");
  BOOST_TEST(told.document.at("generation").is_number());
}

BOOST_FIXTURE_TEST_CASE(without_a_rotation_abort_changes_nothing_and_with_a_current_new_kek_it_is_refused, Enabled) {
  const Told none = test::in_all_formats(daemon, {"rotate", "cluster-root-key", "--abort"});
  BOOST_TEST(none.table == "No rotation is under way; nothing changed.\n");
  BOOST_TEST(!none.document.at("changed").as_bool());
  must_succeed(daemon.control({"create", "volume", "data1", "--device", daemon.plug("vdb")}));
  daemon.hold("rewrap");
  BOOST_TEST(daemon.control({"rotate", "cluster-root-key", "--wait", "--timeout", "1"}).status == 8);
  BOOST_TEST(test::encryption_state(daemon).at("rotationState").as_string() == "EncryptingDEKs");
  const Told late = test::in_all_formats(daemon, {"rotate", "cluster-root-key", "--abort"}, {.status = 4});
  BOOST_TEST(holds(late.error, "volcryptctl: cannot "));
  daemon.let_go("rewrap");
}

BOOST_AUTO_TEST_CASE(recovery_verify_opens_every_blob) {
  const Told told =
      test::in_all_formats(standing(), {"recovery", "verify", "--recovery-file", standing().path("recovery.json")},
                           {.passphrases = {test::recovery_passphrase}});
  BOOST_TEST(told.document.at("verified").as_bool());
  BOOST_TEST(told.document.at("generations").at(0).at("result").as_string() == "opens");
  BOOST_TEST(holds(told.table, "opens"));
  BOOST_TEST(standing().ask({"get", "clusterinfo"}).at("recovery").at("verified").as_bool());
}

BOOST_AUTO_TEST_CASE(recovery_export_writes_a_bundle_and_tells_its_generations) {
  const std::string file = standing().path("bundle");
  const Told told = test::in_all_formats(standing(), {"recovery", "export", "--output", file},
                                         {.prepare = [&] { std::filesystem::remove(file); }});
  BOOST_TEST(holds(told.table, "Recovery bundle with KEK generation 1 is in " + file));
  BOOST_TEST(told.document.at("file").as_string() == file);
  BOOST_TEST(told.document.at("generations").at(0).to_number<int>() == 1);
}

// Its success needs device-mapper, and is in the vm tier; it must not get so far on the machine of the test.
BOOST_FIXTURE_TEST_CASE(recovery_open_refuses_the_bundle_of_another_cluster_the_same_in_each_format, Enabled) {
  const std::string device = daemon.plug("vdb");
  must_succeed(daemon.control({"create", "volume", "data1", "--device", device}));
  const Daemon& other = standing();
  const std::string bundle = other.path("another-clusters-bundle");
  must_succeed(other.control({"recovery", "export", "--output", bundle}));
  const Told told = test::in_all_formats(
      daemon,
      {"recovery", "open", "--device", device, "--bundle", bundle, "--recovery-file", other.path("recovery.json")},
      {.status = 9});
  BOOST_TEST(holds(told.error, "cannot open " + device + ": it belongs to cluster "));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
