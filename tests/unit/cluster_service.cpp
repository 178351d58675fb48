// The operator's verbs and the rotation driver over a member and a store in memory. The last tests let the agent crash,
// and the world fail, at every await of a whole story: nothing is ever lost, and the next start brings it to rest.
#define BOOST_TEST_DYN_LINK
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/test/unit_test.hpp>

#include "agent/cluster/cluster_service.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "tests/support/await.hpp"
#include "tests/support/fake_member.hpp"
#include "tests/support/memory_store.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/signed_cluster.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using namespace std::chrono_literals;
using test::Drive;
using tests::refusal;

namespace {

constexpr auto software = keys::Protection::software;
constexpr DriverOptions quick{1ms, 4ms, 60s};

asio::awaitable<void> doze(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

// What survives the agent: its store, its disk, its KEKs and drives.
struct Machine {
  tests::TemporaryDirectory directory;
  test::SignedCluster cluster;
  test::MemoryStore store;
  test::FakeNode node;

  EncryptionState state() const {
    const auto entry = store.entries.find(std::string(store_key::encryption));
    return entry == store.entries.end() ? EncryptionState{} : parse_encryption_state(entry->second.value);
  }
  bool at_rest() const {
    const auto now = state();
    return now.rotation == RotationPhase::NoRotation && now.distributing == 0 && now.retiring.empty();
  }
  bool opens_all() const {
    return std::all_of(node.volumes.begin(), node.volumes.end(),
                       [&](const auto& volume) { return node.opens(volume.second); });
  }
  SignedMembership signed_membership(std::uint64_t version = 1) const {
    return cluster.sign(cluster.membership(node.id, version));
  }

  // Promises 3 and 7 of the design, looked at from outside.
  void check() const {
    const auto now = state();
    BOOST_TEST(flaw(now) == "");
    BOOST_TEST(opens_all(), "a volume's generation is gone");
    auto in_use = now.previous;
    if (now.current != 0) in_use.insert(now.current);
    for (const auto generation : in_use) {
      BOOST_TEST(node.proved.contains(generation));
      BOOST_TEST(!node.destroyed.contains(generation));
      BOOST_TEST(store.entries.contains(store_key::generation(generation)));
      BOOST_TEST(store.entries.contains(store_key::recovery(generation)), "no recovery blob");
    }
    for (const auto& [name, volume] : node.volumes) BOOST_TEST(in_use.contains(volume.generation), name);
    BOOST_TEST((node.ever_made.empty() || *node.ever_made.rbegin() <= now.highest_used));
  }
};

// One life of the agent. The loop goes first, as it does when a process dies.
struct Agent {
  Machine& machine;
  std::unique_ptr<asio::io_context> loop = std::make_unique<asio::io_context>();
  runtime::Worker files{"files", 1};
  LocalPin pin{machine.directory.path() / "cluster.json", files};
  test::FakeMember member{machine.node, machine.store, &pin};
  ClusterService service{machine.store, member, pin, software, quick};

  explicit Agent(Machine& m) : machine(m) {}
  ~Agent() {
    loop.reset();
    machine.store.before = nullptr;
    machine.store.after = nullptr;
  }

  template <class T>
  T wait(asio::awaitable<T> task) {
    return test::await(*loop, std::move(task));
  }
  void run_until_rest() {
    for (int i = 0; i < 2000 && !machine.at_rest(); ++i) wait(doze(1ms));
    const bool rests = machine.at_rest();  // asked first: the text runs the loop
    BOOST_TEST(rests, service_text());
  }
  void run_until(RotationPhase phase) {
    for (int i = 0; i < 2000 && machine.state().rotation != phase; ++i) wait(doze(1ms));
    const bool there = machine.state().rotation == phase;
    BOOST_TEST(there, service_text());
  }
  std::string service_text() { return wait(service.rotation()).last_failure + " in " + to_json(machine.state()); }
  void become_cluster() {
    wait(service.start());
    wait(service.init(machine.signed_membership()));
  }
  void become_encrypted() {
    become_cluster();
    wait(service.set_feature_flag());
    wait(service.enable(software));
  }
  void rotate() {
    wait(service.rotate());
    run_until_rest();
  }
};

struct Fixture : Machine {
  std::unique_ptr<Agent> agent = std::make_unique<Agent>(*this);
  ClusterService& service() { return agent->service; }
  void restart() {
    agent.reset();
    agent = std::make_unique<Agent>(*this);
  }
  // Everything the member is asked under this name fails.
  void fail(const std::string& operation) {
    agent->member.around = [operation](std::string name) { return refuse_when(name == operation); };
  }
  void heal() { agent->member.around = nullptr; }
  static asio::awaitable<void> refuse_when(bool failing) {
    if (failing) throw Error(errc::sealed_out, {"do", "it", ""});
    co_return;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(verbs_without_a_cluster_name_the_way_to_one, Fixture) {
  agent->wait(service().start());
  const auto text = refusal(errc::wrong_state, [&] { agent->wait(service().rotate()); });
  BOOST_TEST(text.find("cluster init") != std::string::npos);
  const auto info = agent->wait(service().info());
  BOOST_TEST(!info.membership.has_value());
  BOOST_TEST((info.encryption.phase == EncryptionPhase::Disabled));
}

BOOST_FIXTURE_TEST_CASE(init_stores_and_adopts_the_document_and_takes_the_same_one_again, Fixture) {
  agent->become_cluster();
  BOOST_TEST(node.adopted == 1u);
  agent->wait(service().init(signed_membership()));
  const auto info = agent->wait(service().info());
  BOOST_REQUIRE(info.membership.has_value());
  BOOST_TEST((info.membership->cluster == cluster.id));
  const test::SignedCluster other;
  refusal(errc::wrong_state, [&] { agent->wait(service().init(other.sign(other.membership(node.id)))); });
  auto stored = agent->wait(service().membership());
  BOOST_REQUIRE(stored.has_value());
  BOOST_TEST(stored->document == signed_membership().document);
}

BOOST_FIXTURE_TEST_CASE(init_with_a_bad_signature_or_without_this_node_leaves_nothing_behind, Fixture) {
  auto forged = signed_membership();
  forged.signature[10] ^= 1;
  refusal(errc::bad_signature, [&] { agent->wait(service().init(forged)); });
  refusal(errc::invalid_argument,
          [&] { agent->wait(service().init(cluster.sign(cluster.membership(Uuid::random())))); });
  BOOST_TEST(store.entries.empty());
}

BOOST_FIXTURE_TEST_CASE(an_init_that_a_member_cannot_adopt_is_taken_back, Fixture) {
  fail("adopt");
  refusal(errc::sealed_out, [&] { agent->become_cluster(); });
  BOOST_TEST(store.entries.empty());
  heal();
  agent->become_cluster();
}

BOOST_FIXTURE_TEST_CASE(enable_names_every_failure_at_once, Fixture) {
  agent->become_cluster();
  node.not_ready = {"The TPM does not answer."};
  node.version = "9.9";
  store.entries["volume/data1"] = {"volume/data1", "{}", 1};
  const auto text = refusal(errc::wrong_state, [&] { agent->wait(service().enable(software)); });
  for (const char* part : {"feature flag", "data1", "The TPM does not answer", "9.9", "node1"}) {
    BOOST_TEST(text.find(part) != std::string::npos, part);
  }
  BOOST_TEST((state().phase == EncryptionPhase::Disabled));
}

BOOST_FIXTURE_TEST_CASE(enable_ends_with_generation_one_proved_and_is_idempotent, Fixture) {
  agent->become_encrypted();
  BOOST_TEST(state().current == 1u);
  check();
  agent->wait(service().enable(software));
  BOOST_TEST(state().current == 1u);
  refusal(errc::wrong_state, [&] { agent->wait(service().enable(keys::Protection::tpm)); });
}

BOOST_FIXTURE_TEST_CASE(an_enabling_that_fails_is_taken_back_with_its_cause_and_can_be_repeated, Fixture) {
  agent->become_cluster();
  agent->wait(service().set_feature_flag());
  for (const char* operation : {"create", "created", "prove"}) {
    fail(operation);
    refusal(errc::sealed_out, [&] { agent->wait(service().enable(software)); });
    BOOST_TEST((state().phase == EncryptionPhase::Disabled), operation);
  }
  heal();
  agent->wait(service().enable(software));
  BOOST_TEST(state().current == 4u);  // three numbers were burnt
  agent->run_until_rest();
  BOOST_TEST((node.held == std::set<Generation>{4}));
  check();
}

BOOST_FIXTURE_TEST_CASE(a_rotation_rewraps_every_volume_and_destroys_the_old_generation, Fixture) {
  agent->become_encrypted();
  for (const char* name : {"a", "b", "c"}) node.volumes[name] = {1, Drive::present};
  BOOST_TEST(agent->wait(service().rotate()) == 2u);
  agent->run_until_rest();
  BOOST_TEST(state().current == 2u);
  BOOST_TEST(state().previous.empty());
  BOOST_TEST((node.held == std::set<Generation>{2}));
  BOOST_TEST(!store.entries.contains("generation/1"));
  BOOST_TEST(!store.entries.contains("recovery/1"));
  check();
}

BOOST_FIXTURE_TEST_CASE(an_absent_drive_is_waited_for_without_holding_up_rotations, Fixture) {
  agent->become_encrypted();
  node.volumes["away"] = {1, Drive::absent};
  node.volumes["here"] = {1, Drive::present};
  agent->rotate();
  agent->rotate();
  BOOST_TEST(state().current == 3u);
  BOOST_TEST((state().previous == std::set<Generation>{1}));
  check();
  node.volumes["away"] = {3, Drive::present};  // it came back, and its owner rewrapped it
  agent->wait(service().reconsider_retirement());
  for (int i = 0; i < 1000 && node.held.size() > 1; ++i) agent->wait(doze(1ms));
  agent->run_until_rest();
  BOOST_TEST((node.held == std::set<Generation>{3}));
  BOOST_TEST(state().previous.empty());
  check();
}

BOOST_FIXTURE_TEST_CASE(a_failing_volume_keeps_the_rotation_visible_and_its_generation_alive, Fixture) {
  agent->become_encrypted();
  node.volumes["ill"] = {1, Drive::failing};
  node.volumes["well"] = {1, Drive::present};
  agent->wait(service().rotate());
  agent->run_until(RotationPhase::EncryptingDEKs);
  for (int i = 0; i < 1000 && node.volumes["well"].generation != 2; ++i) agent->wait(doze(1ms));
  agent->wait(doze(10ms));
  const auto view = agent->wait(service().rotation());
  BOOST_TEST(node.volumes["well"].generation == 2u);
  BOOST_TEST(view.waiting_for.find("ill") != std::string::npos, view.waiting_for);
  BOOST_TEST((view.state.rotation == RotationPhase::EncryptingDEKs));
  check();
  node.volumes["ill"].drive = Drive::present;
  agent->run_until_rest();
  BOOST_TEST((node.held == std::set<Generation>{2}));
  BOOST_TEST(agent->wait(service().rotation()).waiting_for.empty());
}

BOOST_FIXTURE_TEST_CASE(a_rotation_whose_kek_cannot_be_made_is_taken_back, Fixture) {
  agent->become_encrypted();
  fail("create");
  agent->wait(service().rotate());
  agent->run_until_rest();
  BOOST_TEST(state().current == 1u);
  BOOST_TEST(agent->wait(service().rotation()).last_failure.find("generation 2") != std::string::npos);
  heal();
  agent->rotate();
  BOOST_TEST(state().current == 3u);
  check();
}

BOOST_FIXTURE_TEST_CASE(a_member_that_cannot_prove_is_waited_for_and_the_rotation_can_be_aborted, Fixture) {
  agent->become_encrypted();
  node.volumes["a"] = {1, Drive::present};
  fail("prove");
  agent->wait(service().rotate());
  for (int i = 0; i < 1000 && agent->wait(service().rotation()).waiting_for.empty(); ++i) agent->wait(doze(1ms));
  BOOST_TEST(agent->wait(service().rotation()).waiting_for.find("node1") != std::string::npos);
  BOOST_TEST((state().rotation == RotationPhase::DistributingKEK));
  refusal(errc::wrong_state, [&] { agent->wait(service().rotate()); });
  agent->wait(service().abort_rotation());
  agent->run_until_rest();
  BOOST_TEST(state().current == 1u);
  BOOST_TEST((node.held == std::set<Generation>{1}));
  refusal(errc::wrong_state, [&] { agent->wait(service().abort_rotation()); });
  check();
}

BOOST_FIXTURE_TEST_CASE(a_restart_in_the_middle_of_distribution_burns_the_number, Fixture) {
  agent->become_encrypted();
  fail("prove");
  agent->wait(service().rotate());
  for (int i = 0; i < 1000 && agent->wait(service().rotation()).waiting_for.empty(); ++i) agent->wait(doze(1ms));
  restart();
  agent->wait(service().start());
  agent->run_until_rest();
  BOOST_TEST(state().current == 3u);
  BOOST_TEST((node.held == std::set<Generation>{3}));
  check();
}

BOOST_FIXTURE_TEST_CASE(a_store_that_was_rolled_back_or_lost_is_refused, Fixture) {
  agent->become_encrypted();
  const auto old_entries = store.entries;
  agent->rotate();
  agent.reset();
  const auto new_entries = store.entries;
  store.entries = old_entries;
  agent = std::make_unique<Agent>(*this);
  refusal(errc::too_old, [&] { agent->wait(service().start()); });
  refusal(errc::too_old, [&] { agent->wait(service().rotate()); });
  store.entries.clear();
  restart();
  refusal(errc::too_old, [&] { agent->wait(service().start()); });
  store.entries = new_entries;
  restart();
  agent->wait(service().start());
  agent->rotate();
  check();
}

BOOST_FIXTURE_TEST_CASE(a_newer_membership_replaces_the_old_one_and_an_older_one_does_not, Fixture) {
  agent->become_cluster();
  agent->wait(service().update_membership(signed_membership(2)));
  agent->wait(service().update_membership(signed_membership(2)));
  BOOST_TEST(agent->wait(service().info()).membership->version == 2u);
  refusal(errc::too_old, [&] { agent->wait(service().update_membership(signed_membership(1))); });
  auto other = cluster.membership(node.id, 2);
  other.cluster_name = "other";
  refusal(errc::too_old, [&] { agent->wait(service().update_membership(cluster.sign(other))); });
  BOOST_TEST(agent->wait(service().info()).membership->cluster_name == "test");
}

BOOST_FIXTURE_TEST_CASE(status_tells_what_is_weak, Fixture) {
  agent->become_encrypted();
  const auto contains = [](const ClusterInfo& info, const std::string& part) {
    return std::any_of(info.warnings.begin(), info.warnings.end(),
                       [&](const std::string& warning) { return warning.find(part) != std::string::npos; });
  };
  auto info = agent->wait(service().info());
  BOOST_TEST(contains(info, "never verified"));
  BOOST_TEST(contains(info, "Software protection"));
  BOOST_REQUIRE(info.generations.size() == 1u);
  BOOST_TEST(info.generations[0].role == "current");
  agent->wait(service().recovery_was_verified("2026-01-02T03:04:05Z"));
  agent->wait(service().recovery_was_verified("2026-01-03T03:04:05Z"));
  node.key_warnings = {"A thing to mend."};
  BOOST_TEST(contains(agent->wait(service().info()), node.name + ": A thing to mend."));
  fail("key_warnings");
  BOOST_TEST(contains(agent->wait(service().info()), "keys were not looked at"));
  fail("boot_report");
  info = agent->wait(service().info());
  BOOST_TEST(info.recovery_verified_at == "2026-01-03T03:04:05Z");
  BOOST_TEST(!contains(info, "never verified"));
  BOOST_TEST(contains(info, "boot state is not known"));
}

BOOST_AUTO_TEST_CASE(a_rotation_over_three_members_waits_for_the_one_that_is_down) {
  Machine machine;
  asio::io_context loop;
  runtime::Worker files("files", 1);
  LocalPin pin(machine.directory.path() / "cluster.json", files);
  std::vector<test::FakeNode> nodes(3);
  std::vector<std::unique_ptr<test::FakeMember>> members;
  std::vector<Member*> list;
  for (auto& node : nodes) {
    node.name = "node" + std::to_string(&node - nodes.data());
    node.volumes["v"] = {1, Drive::present};
    members.push_back(std::make_unique<test::FakeMember>(node, machine.store, nullptr));
    list.push_back(members.back().get());
  }
  auto driver = std::make_shared<RotationDriver>(machine.store, pin, list, quick);
  const auto run = [&](auto done) {
    for (int i = 0; i < 2000 && !done(); ++i) test::await(loop, doze(1ms));
    BOOST_TEST(done(), driver->last_failure());
  };
  test::await(loop, driver->apply(event::FlagSet{}));
  test::await(loop, driver->apply(event::Enable{software}));
  run([&] { return machine.state().current == 1; });
  members[1]->around = [](std::string name) { return Fixture::refuse_when(name == "prove"); };
  test::await(loop, driver->apply(event::Rotate{}));
  run([&] { return machine.state().proved.size() == 2; });
  test::await(loop, doze(10ms));
  BOOST_TEST(machine.state().current == 1u);
  BOOST_TEST(driver->waiting_for().find("node1") != std::string::npos);
  members[1]->around = nullptr;
  run([&] { return machine.state().current == 2 && machine.at_rest(); });
  for (const auto& node : nodes) {
    BOOST_TEST((node.held == std::set<Generation>{2}), node.name);
    BOOST_TEST(node.volumes.at("v").generation == 2u);
  }
  driver->stop();
}

namespace {

// Counts the awaits of one life and strikes at one of them.
struct Fate {
  enum class Kind { crash, error };
  Kind kind;
  std::size_t strikes_at;
  asio::io_context& loop;
  std::size_t passed = 0;
  bool crashed = false;

  static asio::awaitable<void> pass(Fate& fate, errc cause) {
    if (++fate.passed != fate.strikes_at) co_return;
    if (fate.kind == Kind::error) throw Error(cause, {"do", "what the test forbids", ""});
    fate.crashed = true;
    fate.loop.stop();
    co_await doze(1h);  // this life ends here
  }
};

asio::awaitable<void> until(const bool& flag, Machine& machine) {
  while (!flag && !machine.at_rest()) co_await doze(1ms);
}

// Each verb as an operator would use it: again, until it has worked.
template <class Verb>
asio::awaitable<void> insist(Verb verb) {
  for (int i = 0; i < 5; ++i) {
    try {
      co_await verb();
      co_return;
    } catch (const Error&) {
      if (i == 4) throw;
    }
    co_await doze(1ms);
  }
}

asio::awaitable<void> rotate_once(ClusterService& service, Machine& machine, Generation wanted, const bool& never) {
  for (int i = 0; i < 5 && machine.state().current < wanted; ++i) {
    if (machine.state().rotation == RotationPhase::NoRotation) co_await service.rotate();
    co_await until(never, machine);
  }
}

asio::awaitable<void> story(Agent& agent, Machine& machine, bool& ended) {
  const bool never = false;
  auto& service = agent.service;
  co_await insist([&] { return service.start(); });
  co_await insist([&] { return service.init(machine.signed_membership()); });
  co_await insist([&] { return service.set_feature_flag(); });
  co_await insist([&] { return service.enable(software); });
  if (machine.node.volumes.empty()) {
    for (const char* name : {"a", "b"}) machine.node.volumes[name] = {machine.state().current, Drive::present};
    machine.node.volumes["away"] = {machine.state().current, Drive::absent};
  }
  const auto wanted = machine.state().current + 1;
  co_await insist([&] { return rotate_once(service, machine, wanted, never); });
  machine.node.volumes["away"] = {machine.state().current, Drive::present};
  co_await insist([&] { return service.reconsider_retirement(); });
  for (int i = 0; i < 200 && machine.node.held.size() > 1; ++i) co_await doze(1ms);
  co_await until(never, machine);
  ended = true;
}

// True when the story ended before fate struck: then all its awaits have been tried.
bool live(Fate::Kind kind, std::size_t strikes_at) {
  Machine machine;
  bool ended = false, crashed = false;
  std::exception_ptr failure;
  {
    Agent agent(machine);
    Fate fate{kind, strikes_at, *agent.loop};
    agent.member.around = [&fate](std::string) { return Fate::pass(fate, errc::timed_out); };
    machine.store.before = [&fate] { return Fate::pass(fate, errc::timed_out); };
    machine.store.after = [&fate] { return Fate::pass(fate, errc::unknown_outcome); };
    asio::co_spawn(*agent.loop, story(agent, machine, ended), [&](std::exception_ptr error) {
      failure = error;
      agent.loop->stop();
    });
    agent.loop->run_for(20s);
    crashed = fate.crashed;
    if (fate.passed < strikes_at) {
      BOOST_TEST(ended);
      machine.check();
      return true;
    }
  }
  machine.check();
  if (kind == Fate::Kind::error) {
    BOOST_TEST(!failure);
    BOOST_TEST(ended);
  } else {
    BOOST_TEST(crashed);
  }
  Agent next(machine);  // the next life: rest first, then the same story to its end
  next.wait(next.service.start());
  next.run_until_rest();
  machine.check();
  ended = false;
  next.wait(story(next, machine, ended));
  BOOST_TEST(ended);
  next.run_until_rest();
  machine.check();
  BOOST_TEST((machine.node.held == std::set<Generation>{machine.state().current}));
  return false;
}

std::size_t live_all(Fate::Kind kind) {
  std::size_t point = 1;
  for (bool last = false; !last && point < 2000; ++point) {
    BOOST_TEST_CONTEXT("await " << point) { last = live(kind, point); }
  }
  return point;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_crash_at_any_await_loses_nothing_and_the_next_start_comes_to_rest) {
  const auto points = live_all(Fate::Kind::crash);
  BOOST_TEST_MESSAGE(points << " points");
  BOOST_TEST(points > 60u);
  BOOST_TEST(points < 2000u);
}

BOOST_AUTO_TEST_CASE(an_error_at_any_await_loses_nothing_and_the_story_goes_on) {
  const auto points = live_all(Fate::Kind::error);
  BOOST_TEST_MESSAGE(points << " points");
  BOOST_TEST(points > 60u);
  BOOST_TEST(points < 2000u);
}
