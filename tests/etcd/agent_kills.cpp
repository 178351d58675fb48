// Five real agents with a software TPM each over a real etcd of three: the KEK is rotated two hundred times while any
// process of theirs is killed at any moment, and a member goes and comes again. After each round everything runs, and
// the cluster must come to rest under one generation. VOLCRYPT_ROUNDS, VOLCRYPT_SEED: other numbers than in CI.
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>

#include "tests/support/cluster_of_daemons.hpp"
#include "tests/support/swtpm.hpp"

namespace volcrypt {

namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using test::ClusterOfDaemons;
using test::CommandResult;
using test::EtcdCluster;
using test::must_succeed;
using test::Swtpm;

constexpr std::size_t nodes = 5, guest = nodes - 1;  // the guest goes and comes again, and owns no volume
constexpr auto patience = 180s;

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct Counts {
  std::size_t rotations = 0, refused = 0, agents = 0, powers = 0, etcds = 0, comings = 0;
  std::chrono::milliseconds longest{0};
};

struct FiveServers {
  Swtpm chips[nodes];
  ClusterOfDaemons all{{chips[0].tcti(), chips[1].tcti(), chips[2].tcti(), chips[3].tcti(), chips[4].tcti()},
                       "coordinator-lease = 10\n"};
  const std::uint64_t seed = number_of("VOLCRYPT_SEED", 4007);
  std::mt19937_64 chance{seed};
  Counts counts;

  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(chance() % limit); }
  std::chrono::milliseconds up_to(std::chrono::milliseconds limit) {
    return std::chrono::milliseconds(below(static_cast<std::size_t>(limit.count())));
  }
  static std::string volume(std::size_t number) { return "v" + std::to_string(number); }

  json::value info(std::size_t number) { return all[number].ask({"get", "clusterinfo"}); }
  std::int64_t current(std::size_t number) {
    return info(number).at("encryptionState").at("currentKekGeneration").to_number<std::int64_t>();
  }
  std::string kek_file(std::size_t number, std::int64_t generation) {
    return all[number].state_directory() + "/tpm/kek-" + std::to_string(generation);
  }

  // No rotation, one generation, every volume under it. Why not, as a sentence; empty: it is so.
  std::string unrest() {
    const json::value told = info(0);
    const auto& state = told.at("encryptionState").as_object();
    if (state.at("rotationState").as_string() != "NoRotation") return json::serialize(told.at("rotation"));
    if (told.at("generations").as_array().size() != 1) return json::serialize(told.at("generations"));
    const auto generation = state.at("currentKekGeneration").to_number<std::int64_t>();
    for (std::size_t i = 0; i < guest; ++i) {
      const json::value view = all[i].ask({"get", "volume", volume(i)});
      if (view.at("state").as_string() != "attached" ||
          view.at("kekGeneration").to_number<std::int64_t>() != generation)
        return json::serialize(view);
    }
    return "";
  }
  void come_to_rest(const std::string& round) {
    const auto begun = Clock::now();
    std::string why;
    for (;;) {
      try {
        why = unrest();
      } catch (const std::exception& error) {
        why = error.what();
      }
      if (why.empty()) break;
      if (Clock::now() - begun > patience) BOOST_FAIL(round << " does not come to rest: " << why);
      std::this_thread::sleep_for(400ms);
    }
    counts.longest =
        std::max(counts.longest, std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun));
  }

  void rotate(std::size_t at) {
    const CommandResult asked = all[at].control({"rotate", "cluster-root-key"});
    if (asked.status == 0) return;
    ++counts.refused;  // by a coordinator that has not rested yet, and then in these words
    BOOST_TEST(asked.err.find("give the command there") != std::string::npos, asked.err);
  }
  void kill_something() {
    const std::size_t node = below(nodes), member = below(EtcdCluster::size);
    switch (below(6)) {
      case 0:
      case 1:
      case 2:
        all[node].kill();
        ++counts.agents;
        std::this_thread::sleep_for(up_to(1000ms));
        return all[node].start();
      case 3:  // the whole server: its TPM loses what is not stored
        all[node].kill();
        chips[node].power_cycle();
        ++counts.powers;
        std::this_thread::sleep_for(up_to(1000ms));
        return all[node].start();
      case 4:
        return kill_etcd(all.etcd.leader());
      default:
        return kill_etcd(member);
    }
  }
  void kill_etcd(std::size_t member) {
    all.etcd.kill(member);
    ++counts.etcds;
    std::this_thread::sleep_for(up_to(1000ms));
    all.etcd.start(member);
  }

  // Removed, it has nothing of the KEK that follows; set up anew, it is admitted as any other node.
  void guest_goes_and_comes() {
    const auto before = current(0);
    must_succeed(all.with_authority(below(guest), {"node", "remove", all.name(guest)}));
    come_to_rest("the removal");
    // Where somebody still coordinated the rotation has not begun with it, and the command says so.
    for (int attempt = 0; attempt < 20 && current(0) == before; ++attempt) {
      rotate(below(guest));
      come_to_rest("the rotation after the removal");
    }
    const auto now = current(0);
    BOOST_TEST(now > before);
    for (auto generation = before + 1; generation <= now; ++generation)
      BOOST_TEST(!std::filesystem::exists(kek_file(guest, generation)));
    all[guest].kill();
    std::filesystem::remove_all(all[guest].state_directory());
    chips[guest].power_cycle();  // no resource manager has freed what the killed one had loaded
    all[guest].start();
    all.add(guest, below(guest));
    BOOST_TEST(all.eventually([&] { return std::filesystem::exists(kek_file(guest, now)); }));
    ++counts.comings;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(whatever_is_killed_while_a_kek_is_rotated_every_round_ends_under_one_generation, FiveServers) {
  const auto rounds = number_of("VOLCRYPT_ROUNDS", 200);
  all.init();
  for (std::size_t i = 1; i < nodes; ++i) all.add(i, i - 1);
  all.enable("tpm", 2);
  for (std::size_t i = 0; i < guest; ++i) all.create(i, volume(i));
  const auto begun = Clock::now();
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    const auto before = current(0);
    rotate(below(nodes));
    std::this_thread::sleep_for(up_to(1000ms));
    if (below(4) != 0) kill_something();
    come_to_rest("round " + std::to_string(round));
    const auto now = current(0);
    BOOST_TEST(now >= before);
    counts.rotations += now > before ? 1 : 0;
    if (round % 50 == 0) guest_goes_and_comes();
  }
  for (std::size_t i = 0; i < nodes; ++i) {
    BOOST_TEST(current(i) == current(0));
    BOOST_TEST(std::filesystem::exists(kek_file(i, current(0))));
  }
  must_succeed(all[1].control({"recovery", "verify", "--recovery-file", all[0].path("recovery.json")},
                              {test::recovery_passphrase}));
  const auto took = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begun);
  std::cout << "seed " << seed << ": " << rounds << " rounds in " << took.count() << " s, of which " << counts.rotations
            << " rotated and " << counts.refused << " were refused; killed: " << counts.agents << " agents, "
            << counts.powers << " agents with their TPMs, " << counts.etcds << " of etcd; " << counts.comings
            << " times a member went and came; the longest way to rest took " << counts.longest.count()
            << " ms; generation " << current(0) << "\n";
  BOOST_TEST(counts.rotations > rounds / 2);
}

}  // namespace volcrypt
