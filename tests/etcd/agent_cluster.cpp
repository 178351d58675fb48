// Several real agents over a real etcd: nodes join, are admitted, share a KEK, rotate it, go away and come back.
#include <filesystem>
#include <fstream>

#include "tests/support/cluster_of_daemons.hpp"
#include "tests/support/verb_formats.hpp"

namespace volcrypt {

namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using test::ClusterOfDaemons;
using test::CommandResult;
using test::Daemon;
using test::holds;
using test::must_succeed;

std::int64_t current_of(const Daemon& daemon) {
  return test::encryption_state(daemon).at("currentKekGeneration").to_number<std::int64_t>();
}

// Each volume's generation, as its node sees it; 0 unless it is attached.
std::int64_t generation_of(const Daemon& daemon, const std::string& volume) {
  const json::value view = daemon.ask({"get", "volume", volume});
  return view.at("state").as_string() == "attached" ? view.at("kekGeneration").to_number<std::int64_t>() : 0;
}

std::string kek_file(const std::string& state, std::int64_t generation) {
  return state + "/software/kek-" + std::to_string(generation);
}

bool holds_kek(const Daemon& daemon, std::int64_t generation) {
  return std::filesystem::exists(kek_file(daemon.state_directory(), generation));
}

struct ThreeServers : ClusterOfDaemons {
  ThreeServers() : ClusterOfDaemons({"none", "none", "none"}) {}
  bool holds_kek(std::size_t number, std::int64_t generation) {
    return volcrypt::holds_kek((*this)[number], generation);
  }
};
struct TwoServers : ClusterOfDaemons {
  TwoServers() : ClusterOfDaemons({"none", "none"}) {}
};

}  // namespace

BOOST_AUTO_TEST_SUITE(agent_cluster)

BOOST_FIXTURE_TEST_CASE(nodes_join_share_the_kek_rotate_it_anywhere_and_one_is_removed, ThreeServers) {
  auto& all = *this;
  init();
  add(1);
  add(2, 1);  // through a member that is itself new
  const auto nodes = test::in_all_formats(all[2], {"get", "nodes"});
  BOOST_TEST(nodes.document.at("nodes").as_array().size() == 3U);
  BOOST_TEST(nodes.document.at("pending").as_array().empty());
  for (const char* part : {"server2", "server3", "member"}) BOOST_TEST(holds(nodes.table, part), nodes.table);

  enable("software", 1);
  for (std::size_t i = 0; i < 3; ++i) create(i, "v" + std::to_string(i));
  for (const std::size_t at : {2U, 0U}) {
    must_succeed(rotate(at));
    for (std::size_t i = 0; i < 3; ++i)
      BOOST_TEST(generation_of(all[i], "v" + std::to_string(i)) == current_of(all[0]), "server " << i);
    test::must_be_at_rest(all[1], static_cast<int>(current_of(all[0])));
  }

  // Restarted without the others and without etcd, a node attaches what it has.
  const auto before = current_of(all[0]);
  for (std::size_t member = 0; member < test::EtcdCluster::size; ++member) etcd.kill(member);
  all[0].kill();
  all[2].kill();
  all[1].kill();
  all[1].start_without_store();
  BOOST_TEST(eventually([&] { return generation_of(all[1], "v1") == before; }));
  for (std::size_t member = 0; member < test::EtcdCluster::size; ++member) etcd.start(member);
  etcd.wait_until_writable();
  all[0].start();
  all[2].start();
  must_succeed(rotate(1));

  // Removed: the others go on without it, under a KEK that it never had.
  const auto held = current_of(all[0]);
  const CommandResult itself = with_authority(2, {"node", "remove", "server3"});
  BOOST_TEST(itself.status != 0);
  BOOST_TEST(holds(itself.err, "another member"), itself.err);
  const CommandResult owner = with_authority(0, {"node", "remove", "server3"});
  BOOST_TEST(owner.status != 0);
  BOOST_TEST(holds(owner.err, "v2"), owner.err);
  must_succeed(with_authority(0, {"node", "remove", "server3", "--leave-volumes"}));
  BOOST_TEST(eventually([&] {
    const json::value now = state();
    return now.at("currentKekGeneration").to_number<std::int64_t>() == held + 1 &&
           now.at("rotationState").as_string() == "NoRotation";
  }));
  BOOST_TEST(generation_of(all[0], "v0") == held + 1);
  BOOST_TEST(generation_of(all[1], "v1") == held + 1);
  BOOST_TEST(generation_of(all[2], "v2") == held);
  // What its volume needs is kept for as long as the catalogue has it.
  BOOST_TEST(state().at("previousKekGenerations").as_array().size() == 1U);
  BOOST_TEST(holds_kek(0, held));
  const CommandResult stranger = all[2].control({"rotate", "cluster-root-key"});
  BOOST_TEST(stranger.status != 0);
  BOOST_TEST(holds(stranger.err, "none of its members"), stranger.err);
  BOOST_TEST(holds_kek(0, held + 1));
  BOOST_TEST(!holds_kek(2, held + 1));
}

BOOST_FIXTURE_TEST_CASE(a_node_that_comes_late_gets_the_generations_in_use_and_one_that_is_away_is_waited_for,
                        ThreeServers) {
  auto& all = *this;
  init();
  add(1);
  enable("software");
  create(0, "away");
  all[0].unplug("away");
  must_succeed(rotate(0));
  BOOST_TEST(test::encryption_state(all[0]).at("previousKekGenerations").as_array().size() == 1U);
  add(2);
  BOOST_TEST(eventually([&] { return holds_kek(2, 1) && holds_kek(2, 2); }));
  create(2, "late");

  all[1].stop();
  must_succeed(all[0].control({"rotate", "cluster-root-key"}));
  BOOST_TEST(eventually([&] {
    const json::value info = all[0].ask({"get", "clusterinfo"});
    const auto& waiting = info.at("rotation").at("waitingFor");
    return waiting.is_string() && holds(waiting.as_string().c_str(), "server2");
  }));
  BOOST_TEST(current_of(all[0]) == 2);
  // Asked elsewhere, who coordinates is named.
  const CommandResult elsewhere = all[2].control({"rotate", "cluster-root-key", "--abort"});
  BOOST_TEST(elsewhere.status != 0);
  BOOST_TEST(holds(elsewhere.err, "does so now"), elsewhere.err);
  all[1].start();
  BOOST_TEST(eventually([&] { return current_of(all[0]) == 3 && generation_of(all[2], "late") == 3; }));
  // The drive returns: its node rewraps it, and what it needed goes everywhere.
  all[0].plug_again("away");
  must_succeed(all[0].control({"attach", "--device", all[0].path("drives/away")}));
  BOOST_TEST(
      eventually([&] { return test::encryption_state(all[1]).at("previousKekGenerations").as_array().empty(); }));
  BOOST_TEST(generation_of(all[0], "away") == 3);
}

BOOST_FIXTURE_TEST_CASE(who_may_not_join_is_told_why_and_nothing_changes, TwoServers) {
  auto& all = *this;
  const std::string token = token_file(0);
  const auto refused = [](const CommandResult& result, const char* told) {
    BOOST_TEST(result.status != 0, told);
    BOOST_TEST(holds(result.err, told), result.err);
  };
  refused(all[0].control({"cluster", "token", "--output", token}), "cluster init");
  must_succeed(all[0].init());
  refused(all[0].control({"cluster", "token", "--output", token}), "store migrate etcd:");
  test::ClusterOfDaemons::Words migrate = {"store", "migrate", cluster::to_text(address.servers)};
  const Words files = store();
  migrate.insert(migrate.end(), files.begin() + 2, files.end());
  must_succeed(all[0].control(migrate));
  must_succeed(all[0].control({"cluster", "token", "--output", token}));
  refused(all[0].control({"cluster", "token", "--output", token}), "exists");  // never over a file
  BOOST_TEST(((std::filesystem::status(token).permissions() & std::filesystem::perms::all) ==
              (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write)));

  // Without the store that the cluster has; with half a token; with another's key.
  refused(all[1].control({"cluster", "join", address_of(0), "--token-file", token, "--without-tpm"}), "--store etcd:");
  const std::string half = token_file(0, "half"), forged = token_file(0, "forged");
  std::ifstream file(token);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::ofstream(half) << text.substr(0, text.size() / 2);
  refused(join(1, 0, half), "token");
  must_succeed(all[0].control({"cluster", "token", "--output", forged + ".other"}));
  std::ifstream other_file(forged + ".other");
  const std::string other{std::istreambuf_iterator<char>(other_file), {}};
  std::ofstream(forged) << text.substr(0, text.find('\n')) << other.substr(other.find('\n'));
  refused(join(1, 0, forged), "not known here");
  BOOST_TEST(all[0].ask({"get", "nodes"}).at("pending").as_array().empty());

  // Asked once, and rejected; the token is used up.
  must_succeed(join(1, 0, token));
  const json::value pending = all[0].ask({"get", "nodes"}).at("pending");
  BOOST_REQUIRE(pending.as_array().size() == 1U);
  BOOST_TEST(pending.at(0).at("name").as_string() == name(1));
  BOOST_TEST(pending.at(0).at("addresses").at(0).as_string() == address_of(1));
  refused(all[0].control({"node", "reject", "server9"}), "get nodes");
  must_succeed(all[0].control({"node", "reject", name(1)}));
  refused(join(1, 0, token), "not known here");

  must_succeed(join(1, 0, forged + ".other"));
  refused(with_authority(0, {"node", "admit", name(1)}, "wrong words"), "passphrase");
  refused(with_authority(0, {"node", "admit", "server9"}), "get nodes");
  BOOST_TEST(!is_member(1));
  must_succeed(with_authority(0, {"node", "admit", name(1)}));
  BOOST_TEST(eventually([&] { return is_member(1); }));
  refused(join(1, 0, token), "already");
  BOOST_TEST(all[1].ask({"get", "nodes"}).at("nodes").as_array().size() == 2U);
}

BOOST_FIXTURE_TEST_CASE(a_drive_that_moves_takes_its_volume_along_and_without_its_owner_the_administrator_decides,
                        TwoServers) {
  auto& all = *this;
  init();
  add(1);
  enable("software");
  for (const char* volume : {"moved", "left", "lost"}) create(0, volume);
  const auto owner = [&](std::size_t at, const std::string& volume) {
    return std::string(all[at].ask({"get", "volume", volume}).at("ownerName").as_string());
  };
  // As udev's rule does when the drive comes.
  const auto plug_in = [&](std::size_t at, const std::string& volume) {
    all[at].plug_again(volume);
    return all[at].control({"attach", "--device", all[at].path("drives/" + volume)});
  };
  const auto carry = [&](std::size_t from, std::size_t to, const std::string& volume) {
    all[from].unplug(volume);
    std::filesystem::rename(all[from].path("pulled/" + volume), all[to].path("pulled/" + volume));
    return plug_in(to, volume);
  };
  const auto refused = [](const CommandResult& result, const std::string& told) {
    BOOST_TEST(result.status != 0, told);
    BOOST_TEST(holds(result.err, told.c_str()), result.err);
  };

  // To and fro, without a word of the administrator's.
  for (const auto& [from, to] : {std::pair<std::size_t, std::size_t>(0, 1), {1, 0}}) {
    must_succeed(all[from].control({"detach", "moved"}));
    must_succeed(carry(from, to, "moved"));
    BOOST_TEST(owner(from, "moved") == name(to));
    BOOST_TEST(generation_of(all[to], "moved") == 1);
    refused(all[from].control({"attach", "moved"}), name(to));
  }
  // A shared one is its owner's alone.
  const std::string shared = all[1].path("drives/moved");
  std::filesystem::create_hard_link(all[0].path("drives/moved"), shared);
  refused(all[1].control({"attach", "moved", "--take-over"}), name(0) + ", where it is attached");
  std::filesystem::remove(shared);
  refused(all[1].control({"forget", "volume", "lost", "--yes"}), name(0));

  // Its owner dies, and comes back to find its drive taken.
  all[0].kill();
  refused(carry(0, 1, "moved"), "`volcryptctl attach moved --take-over`");
  must_succeed(all[1].control({"attach", "moved", "--take-over"}));
  BOOST_TEST(generation_of(all[1], "moved") == 1);
  all[0].start();
  BOOST_TEST(owner(0, "moved") == name(1));
  BOOST_TEST(eventually([&] { return generation_of(all[0], "left") == 1; }));

  // Removed, it leaves one drive that is carried over and one that is lost; both hold the old generation.
  must_succeed(with_authority(1, {"node", "remove", name(0), "--leave-volumes"}));
  all[0].kill();
  refused(carry(0, 1, "left"), "`volcryptctl attach left --take-over`");
  must_succeed(all[1].control({"attach", "left", "--take-over"}));
  BOOST_TEST(eventually([&] { return generation_of(all[1], "left") == 2; }));
  BOOST_TEST(eventually([&] { return generation_of(all[1], "moved") == 2; }));
  const auto kept = [&] { return !test::encryption_state(all[1]).at("previousKekGenerations").as_array().empty(); };
  BOOST_TEST(kept());
  must_succeed(all[1].control({"forget", "volume", "lost", "--yes"}));
  BOOST_TEST(eventually([&] { return !kept() && !holds_kek(all[1], 1); }));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
