// Two real agents with a TPM each over a real etcd: a KEK goes from chip to chip, and what one of them says of itself
// is what the authority signs.
#include <filesystem>

#include "tests/support/cluster_of_daemons.hpp"
#include "tests/support/swtpm.hpp"
#include "tests/support/verb_formats.hpp"

namespace volcrypt {

namespace {

namespace json = boost::json;
using test::ClusterOfDaemons;
using test::CommandResult;
using test::holds;
using test::must_succeed;
using test::Swtpm;

struct TwoTpms {
  Swtpm chips[2];
  ClusterOfDaemons all{{chips[0].tcti(), chips[1].tcti()}};

  std::int64_t generation_of(std::size_t number, const std::string& volume) {
    const json::value view = all[number].ask({"get", "volume", volume});
    return view.at("state").as_string() == "attached" ? view.at("kekGeneration").to_number<std::int64_t>() : 0;
  }
  bool holds_kek(std::size_t number, int generation) {
    return std::filesystem::exists(all[number].state_directory() + "/tpm/kek-" + std::to_string(generation));
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(agent_cluster_tpm)

BOOST_FIXTURE_TEST_CASE(a_kek_goes_from_tpm_to_tpm_and_each_node_opens_its_volumes_alone, TwoTpms) {
  all.init();
  const std::string token = all.token_file(0);
  must_succeed(all[0].control({"cluster", "token", "--output", token}));
  const CommandResult asked = all.join(1, 0, token);
  must_succeed(asked);
  // Both sides show the same fingerprints.
  const json::value waits = all[0].ask({"get", "nodes"}).at("pending").at(0);
  BOOST_TEST(holds(asked.out, waits.at("endorsementKey").as_string().c_str()), asked.out);
  const CommandResult admitted = all.with_authority(0, {"node", "admit", all.name(1)});
  must_succeed(admitted);
  const std::size_t at = asked.out.find("Request fingerprint:");
  BOOST_REQUIRE(at != std::string::npos);
  BOOST_TEST(holds(admitted.err, asked.out.substr(at, asked.out.find('\n', at) - at)), admitted.err);
  BOOST_REQUIRE(all.eventually([&] { return all.is_member(1); }));

  all.enable("tpm", 1);
  for (std::size_t i = 0; i < 2; ++i) all.create(i, "v" + std::to_string(i));
  must_succeed(all.rotate(0));
  for (std::size_t i = 0; i < 2; ++i) BOOST_TEST(generation_of(i, "v" + std::to_string(i)) == 2);
  BOOST_TEST(holds_kek(1, 2));
  BOOST_TEST(all.eventually([&] { return !holds_kek(1, 1); }));
  must_succeed(all[1].control({"recovery", "verify", "--recovery-file", all[0].path("recovery.json")},
                              {test::recovery_passphrase}));

  // The machine's power is cut; without etcd and without the other node it opens its volume by its chip.
  all[1].kill();
  all[0].kill();
  for (std::size_t member = 0; member < test::EtcdCluster::size; ++member) all.etcd.kill(member);
  chips[1].power_cycle();
  all[1].start_without_store();
  BOOST_TEST(all.eventually([&] { return generation_of(1, "v1") == 2; }));
  for (std::size_t member = 0; member < test::EtcdCluster::size; ++member) all.etcd.start(member);
  all.etcd.wait_until_writable();
  all[0].start();
  must_succeed(all.rotate(1));
  BOOST_TEST(generation_of(0, "v0") == 3);
}

BOOST_FIXTURE_TEST_CASE(a_node_without_a_tpm_is_not_admitted_where_keys_live_in_tpms, TwoTpms) {
  all.init();
  all.enable("tpm");
  const std::string token = all.token_file(0);
  must_succeed(all[0].control({"cluster", "token", "--output", token}));
  ClusterOfDaemons::Words words = {"cluster", "join",          all.address_of(0), "--token-file",
                                   token,     "--without-tpm", "--name",          "poor"};
  const ClusterOfDaemons::Words files = all.store();
  words.insert(words.end(), files.begin(), files.end());
  must_succeed(all[1].control(words));
  const CommandResult refused = all.with_authority(0, {"node", "admit", "poor"});
  BOOST_TEST(refused.status != 0);
  BOOST_TEST(holds(refused.err, "--without-tpm"), refused.err);
  BOOST_TEST(all[0].ask({"get", "nodes"}).at("nodes").as_array().size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
