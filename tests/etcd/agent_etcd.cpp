// The whole daemon, its drives plain files, with its store in a real etcd: the one-server story, the move from the
// embedded store, and days without etcd.
#include <algorithm>
#include <filesystem>
#include <thread>

#include "tests/support/daemon_checks.hpp"
#include "tests/support/etcd_cluster.hpp"
#include "tests/support/verb_formats.hpp"

namespace volcrypt {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using namespace std::chrono_literals;
using test::CommandResult;
using test::Daemon;
using test::holds;
using test::must_be_at_rest;
using test::must_succeed;
using Words = std::vector<std::string>;

struct WithEtcd {
  test::EtcdCluster etcd;
  cluster::EtcdAddress address = etcd.address();
  Daemon daemon{"none", test::Drives::files};

  Words store_files() const {
    return {"--store-authority", address.files.authority, "--store-certificate", address.files.certificate,
            "--store-key",       address.files.key,       "--store-prefix",      address.prefix};
  }
  Words init_there() const {
    Words words = {"--store", cluster::to_text(address.servers)};
    const Words files = store_files();
    words.insert(words.end(), files.begin(), files.end());
    return words;
  }
  CommandResult migrate() const {
    Words words = {"store", "migrate", cluster::to_text(address.servers)};
    const Words files = store_files();
    words.insert(words.end(), files.begin(), files.end());
    return daemon.control(words);
  }
  std::string engine() const { return daemon.ask({"get", "store"}).at("engine").as_string().c_str(); }
  bool has_embedded_file() const { return fs::exists(daemon.state_directory() + "/store.db"); }
  std::string state_of(const std::string& volume) const {
    return daemon.ask({"get", "volume", volume}).at("state").as_string().c_str();
  }
  void enable() const {
    must_succeed(daemon.control({"enable", "feature-flag", "cluster-encryption"}));
    must_succeed(daemon.control({"enable", "cluster-encryption", "--protection", "software"}));
  }
  void rotate() const { must_succeed(daemon.control({"rotate", "cluster-root-key", "--wait", "--timeout", "120"})); }
  void create(const std::string& volume) const {
    must_succeed(daemon.control({"create", "volume", volume, "--device", daemon.plug(volume)}));
  }
  template <class Condition>
  static bool eventually(Condition condition, std::chrono::seconds limit = 90s) {
    for (const auto until = std::chrono::steady_clock::now() + limit; std::chrono::steady_clock::now() < until;) {
      if (condition()) return true;
      std::this_thread::sleep_for(200ms);
    }
    return condition();
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(agent_etcd)

BOOST_FIXTURE_TEST_CASE(a_cluster_is_made_in_etcd_and_lives_there, WithEtcd) {
  must_succeed(daemon.init(init_there()));
  BOOST_TEST(engine() == "etcd");
  BOOST_TEST(eventually([&] { return !has_embedded_file(); }));
  const auto told = test::in_all_formats(daemon, {"get", "store"});
  BOOST_TEST(told.document.at("failure").is_null());
  BOOST_TEST(told.document.at("servers").as_array().size() == 3u);
  for (const char* row : {"Engine:", "etcd", "Server:", "Prefix:", "Answers:", "yes"})
    BOOST_TEST(holds(told.table, row), row);
  enable();
  create("data1");
  rotate();
  must_be_at_rest(daemon, 2);
  // Other servers of the same etcd, and what is no such thing.
  address.servers = {etcd.server(1)};
  must_succeed(migrate());
  BOOST_TEST(daemon.ask({"get", "store"}).at("servers").as_array().size() == 1u);
  const std::string prefix = std::exchange(address.prefix, "/somewhere-else/");
  const CommandResult refused = migrate();
  BOOST_TEST(refused.status == 4);
  BOOST_TEST(holds(refused.err, "get store"), refused.err);
  address.prefix = prefix;
  must_be_at_rest(daemon, 2);
  BOOST_TEST(daemon.stop() == 0);
  daemon.start();
  must_be_at_rest(daemon, 2);
  BOOST_TEST(eventually([&] { return state_of("data1") == "attached"; }));
  daemon.kill();
  daemon.start();
  rotate();
  must_be_at_rest(daemon, 3);
}

BOOST_FIXTURE_TEST_CASE(another_cluster_is_not_made_over_one_that_is_there, WithEtcd) {
  must_succeed(daemon.init(init_there()));
  const Daemon second("none", test::Drives::files);
  const CommandResult refused = second.init(init_there());
  BOOST_TEST(refused.status == 4);
  BOOST_TEST(holds(refused.err, "--store-prefix"), refused.err);
  BOOST_TEST(second.ask({"get", "store"}).at("engine").as_string() == "embedded");
}

BOOST_FIXTURE_TEST_CASE(a_store_is_moved_under_a_running_agent_and_nothing_is_lost, WithEtcd) {
  const CommandResult none_yet = migrate();
  BOOST_TEST(none_yet.status == 4);
  BOOST_TEST(holds(none_yet.err, "cluster init"), none_yet.err);

  must_succeed(daemon.init());
  enable();
  create("data1");
  create("data2");
  rotate();
  const pid_t process = daemon.pid();
  const json::value before = daemon.ask({"get", "clusterinfo"});
  const json::value bundle = daemon.ask({"get", "volumes"});
  must_succeed(migrate());
  BOOST_TEST(engine() == "etcd");
  BOOST_TEST(daemon.pid() == process);
  BOOST_TEST(eventually([&] { return !has_embedded_file(); }));
  const json::value after = daemon.ask({"get", "clusterinfo"});
  for (const char* part : {"cluster", "encryptionState"}) BOOST_TEST(after.at(part) == before.at(part), part);
  BOOST_TEST(daemon.ask({"get", "volumes"}).at("volumes").as_array().size() == 2u);
  BOOST_TEST(eventually([&] { return state_of("data1") == "attached" && state_of("data2") == "attached"; }));

  const CommandResult again = migrate();
  must_succeed(again);
  BOOST_TEST(holds(again.out, "there already"), again.out);
  rotate();
  must_be_at_rest(daemon, 3);
  create("data3");
  must_succeed(daemon.control({"delete", "volume", "data2", "--yes"}));
  must_succeed(daemon.control({"recovery", "verify", "--recovery-file", daemon.path("recovery.json")},
                              {test::recovery_passphrase}));
}

BOOST_FIXTURE_TEST_CASE(a_move_that_is_asked_for_again_while_it_goes_on_is_made_once, WithEtcd) {
  must_succeed(daemon.init());
  enable();
  create("data1");
  const json::value before = daemon.ask({"get", "clusterinfo"});
  std::vector<CommandResult> results(4);
  std::vector<std::thread> operators;
  for (CommandResult& result : results) operators.emplace_back([&] { result = migrate(); });
  for (std::thread& one : operators) one.join();
  const auto succeeded = std::count_if(results.begin(), results.end(), [](const auto& one) { return one.status == 0; });
  BOOST_TEST(succeeded >= 1);
  must_succeed(migrate());
  BOOST_TEST(eventually([&] { return engine() == "etcd" && !has_embedded_file(); }));
  BOOST_TEST(daemon.ask({"get", "clusterinfo"}).at("encryptionState") == before.at("encryptionState"));
  BOOST_TEST(eventually([&] { return state_of("data1") == "attached"; }));
  rotate();
}

BOOST_FIXTURE_TEST_CASE(a_move_that_cannot_be_made_leaves_the_store_where_it_is, WithEtcd) {
  must_succeed(daemon.init());
  enable();
  const std::vector<std::pair<std::string, Words>> mistakes = {
      {"without TLS", {"store", "migrate", "etcd:http://127.0.0.1:1", "--store-authority", address.files.authority}},
      {"--store-authority", {"store", "migrate", cluster::to_text(address.servers)}},
      {"nowhere.pem", {"store", "migrate", cluster::to_text(address.servers), "--store-authority", "/nowhere.pem"}},
      {"127.0.0.1:1", {"store", "migrate", "etcd:127.0.0.1:1", "--store-authority", address.files.authority}},
      {"certificate",
       {"store", "migrate", cluster::to_text(address.servers), "--store-authority", address.files.authority}},
  };
  for (const auto& [told, words] : mistakes) {
    const CommandResult result = daemon.control(words);
    BOOST_TEST(result.status != 0, told);
    BOOST_TEST(holds(result.err, told), result.err);
  }
  BOOST_TEST(engine() == "embedded");
  rotate();
  must_be_at_rest(daemon, 2);
}

BOOST_FIXTURE_TEST_CASE(an_agent_killed_during_the_move_has_one_whole_store_afterwards, WithEtcd) {
  must_succeed(daemon.init());
  enable();
  create("data1");
  const json::value before = daemon.ask({"get", "clusterinfo"});
  // At moments from before the first write to after the restart; the command repeats what was cut off.
  for (int moment = 0; moment < 12 && engine() == "embedded"; ++moment) {
    std::thread killer([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(30 * moment));
      daemon.kill();
    });
    (void)migrate();
    killer.join();
    daemon.start();
    BOOST_TEST(daemon.ask({"get", "clusterinfo"}).at("encryptionState") == before.at("encryptionState"));
  }
  must_succeed(migrate());
  BOOST_TEST(engine() == "etcd");
  BOOST_TEST(daemon.ask({"get", "clusterinfo"}).at("encryptionState") == before.at("encryptionState"));
  BOOST_TEST(eventually([&] { return state_of("data1") == "attached" && !has_embedded_file(); }));
  rotate();
}

BOOST_FIXTURE_TEST_CASE(without_etcd_volumes_attach_changes_are_refused_with_the_reason_and_all_heals_by_itself,
                        WithEtcd) {
  must_succeed(daemon.init(init_there()));
  enable();
  create("data1");
  create("data2");
  etcd.kill(0);
  etcd.kill(1);

  must_succeed(daemon.control({"detach", "data1"}));
  must_succeed(daemon.control({"attach", "data1"}));
  daemon.unplug("data2");
  daemon.plug_again("data2");
  must_succeed(daemon.control({"attach", "--device", daemon.path("drives/data2")}));

  const json::value store = daemon.ask({"get", "store"});
  BOOST_TEST(holds(store.at("failure").as_string().c_str(), "more than half"));
  const CommandResult rotation = daemon.control({"rotate", "cluster-root-key"});
  BOOST_TEST(rotation.status != 0);
  BOOST_TEST(holds(rotation.err, "etcd"), rotation.err);
  const CommandResult creation = daemon.control({"create", "volume", "data3", "--device", daemon.plug("data3")});
  BOOST_TEST(creation.status != 0);
  BOOST_TEST(holds(creation.err, "etcd"), creation.err);

  // A reboot without etcd, which may itself be on a volume of ours (ocs-ci#3861).
  daemon.kill();
  daemon.start_without_store();
  BOOST_TEST(eventually([&] {
    const CommandResult all = daemon.control({"attach", "data1"});
    return all.status == 0;
  }));

  etcd.start(0);
  etcd.start(1);
  etcd.wait_until_writable();
  BOOST_TEST(eventually([&] { return daemon.ask({"get", "store"}).at("failure").is_null(); }));
  BOOST_TEST(eventually([&] { return daemon.control({"get", "clusterinfo"}).status == 0; }));
  BOOST_TEST(state_of("data1") == "attached");
  must_succeed(daemon.control({"create", "volume", "data3", "--device", daemon.path("drives/data3")}));
  rotate();
  must_be_at_rest(daemon, 2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt
