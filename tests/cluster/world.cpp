// The nodes of World, their time and their administrator, see world.hpp. What is looked at after each step is in
// world_promises.cpp.
#include "tests/cluster/world.hpp"

#include <algorithm>
#include <boost/asio/detached.hpp>

#include "agent/cluster/kek_upkeep.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::test {

using namespace cluster;

namespace {

// One for all worlds: making keys takes longer than many a story.
const SignedCluster& authority() {
  static const SignedCluster cluster;
  return cluster;
}

// Ordered as the numbers are, the same in each run: sets of members are walked in the order of their UUIDs.
Uuid id_of(std::size_t number) {
  const std::string digit = std::to_string(number + 1);
  return Uuid::parse("0000000" + digit + "-0000-4000-8000-00000000000" + digit);
}

const DriverOptions pauses{.first_pause = 1s, .longest_pause = 8s, .lease_ttl = 12s, .lease_patience = 3s};

asio::awaitable<void> told(std::string what, World::Verb verb, ClusterService& service,
                           std::function<void(const std::string&)> tell) {
  std::string outcome = "done";
  try {
    co_await verb(service);
  } catch (const boost::system::system_error& error) {
    outcome = error.what();
  }
  tell(what + ": " + outcome);
}

}  // namespace

World::World(std::uint64_t seed, std::size_t size, std::size_t members)
    : chance(seed),
      store([this] { return std::chrono::system_clock::time_point() + (clock.now() - runtime::Clock::Instant{}); }),
      network(clock, chance,
              [this](Network::End end) -> asio::io_context* {
                if (end == nodes.size()) return &store_loop;
                return end < nodes.size() ? nodes[end]->loop.get() : nullptr;
              }),
      around_{clock,
              network,
              store,
              size,
              files,
              [this](const Uuid& id) -> SimulatedNode* {
                for (auto& node : nodes)
                  if (node->disk.id == id) return node.get();
                return nullptr;
              },
              [this](const std::string& line) { tell(line); },
              [this](Generation number) { number_repeated_ |= !used_numbers_.insert(number).second; }} {
  for (std::size_t i = 0; i < size; ++i) nodes.push_back(std::make_unique<SimulatedNode>(i, id_of(i), around_));
  start(0);
  std::set<Uuid> ids;
  for (std::size_t i = 0; i < members; ++i) ids.insert(id_of(i));
  say(0, "make the cluster", [first = document(ids, 1, 1)](ClusterService& service) { return service.init(first); });
  if (!run_until([this] { return store.entries.contains(std::string(store_key::membership)); }, 60s))
    broken("a cluster can be made");
  for (std::size_t i = 1; i < members; ++i) start(i);
}

World::~World() {
  for (auto& node : nodes) node->kill();
}

void World::start(std::size_t number) {
  tell("node" + std::to_string(number + 1) + " starts");
  nodes.at(number)->start(pauses);
}

void World::kill(std::size_t number) {
  tell("node" + std::to_string(number + 1) + " dies");
  nodes.at(number)->kill();
}

void World::tell(const std::string& line) {
  const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(clock.now().time_since_epoch() - 1000h);
  story_.push_back(std::to_string(time.count()) + " ms: " + line);
}

// ---- the administrator ----

void World::say(std::size_t number, const std::string& what, const Verb& verb) {
  auto& node = *nodes.at(number);
  if (!node.is_up()) return;
  const std::string line = node.disk.name + ": " + what;
  tell(line);
  const auto tell_outcome = [this](const std::string& outcome) { tell(outcome); };
  asio::co_spawn(*node.loop, told(line, verb, *node.service, tell_outcome), asio::detached);
}

SignedMembership World::document(const std::set<Uuid>& ids, std::uint64_t version, std::uint64_t trust_epoch) const {
  Membership membership = authority().membership(std::vector<Uuid>(ids.begin(), ids.end()), version);
  membership.trust_epoch = trust_epoch;
  for (auto& entry : membership.members) entry.name = around_.node_of(entry.node)->disk.name;
  return authority().sign(membership);
}

// As an administrator who reads what `node remove` says: where a KEK is missing, nobody is removed.
asio::awaitable<void> World::change_members(World& world, ClusterService& service, Uuid id, bool in) {
  const auto present = co_await service.membership();
  if (!present) co_return;
  const auto opened = open_membership(*present, nullptr);
  std::set<Uuid> ids;
  for (const auto& entry : opened.members) ids.insert(entry.node);
  if (in)
    ids.insert(id);
  else
    ids.erase(id);
  if (ids.empty() || ids.size() == opened.members.size()) co_return;
  const auto lacks_keks = [&](const auto& node) {
    return node->service.get() == &service && !missing_keks(world.state(), node->disk.held).empty();
  };
  if (!in && std::ranges::any_of(world.nodes, lacks_keks)) co_return;
  co_await service.update_membership(world.document(ids, opened.version + 1, opened.trust_epoch + (in ? 0 : 1)));
  if (!in) co_await service.rotate();
}

void World::admit(std::size_t at, std::size_t newcomer) {
  const Uuid id = nodes.at(newcomer)->disk.id;
  say(at, "admit node" + std::to_string(newcomer + 1),
      [this, id](ClusterService& service) { return change_members(*this, service, id, true); });
}

void World::remove(std::size_t at, std::size_t leaver) {
  const Uuid id = nodes.at(leaver)->disk.id;
  say(at, "remove node" + std::to_string(leaver + 1),
      [this, id](ClusterService& service) { return change_members(*this, service, id, false); });
}

// As agent/volumes makes one: the catalogue first, under the generation that is current in that very transaction.
void World::new_volume(std::size_t owner, const std::string& name) {
  auto& node = *nodes.at(owner);
  struct Make {
    static asio::awaitable<void> one(SimulatedNode& node, std::string name) {
      const auto entry = co_await node.store.get(std::string(store_key::encryption));
      if (!entry) co_return;
      const auto state = parse_encryption_state(entry->value);
      if (state.phase != EncryptionPhase::Enabled || !node.disk.held.contains(state.current)) co_return;
      VolumeRecord record;
      record.name = name;
      record.volume = record.group = node.disk.id;
      record.owner = node.disk.id;
      record.generation = state.current;
      Transaction transaction;
      transaction.when.push_back({entry->key, entry->modified});
      transaction.when.push_back({store_key::volume(name), 0});
      transaction.then.emplace_back(Put{store_key::volume(name), to_json(record)});
      const auto committed = co_await node.store.commit(std::move(transaction));
      if (committed) node.disk.volumes[name] = {record.generation, Drive::present};
    }
  };
  say(owner, "create volume " + name, [&node, name](ClusterService&) { return Make::one(node, name); });
}

// ---- time ----

// One step of one end, whichever the seed wants.
bool World::turn() {
  const std::size_t ends = nodes.size() + 1, first = chance.below(ends);
  for (std::size_t i = 0; i < ends; ++i) {
    const std::size_t end = (first + i) % ends;
    if (end < nodes.size() && nodes[end]->turn()) return true;
    if (end < nodes.size()) continue;
    store_loop.restart();
    if (store_loop.poll_one() != 0) return true;
  }
  return false;
}

void World::run_for(std::chrono::milliseconds time) {
  run_until([] { return false; }, time);
}

bool World::run_until(const std::function<bool()>& done, std::chrono::milliseconds limit) {
  for (const auto until = clock.now() + limit; !done();) {
    if (!turn() && !clock.move_on(until)) return done();
    check();
  }
  return true;
}

void World::mend_everything() {
  tell("everything is mended");
  network.weather = {};
  network.mend();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (auto& [name, volume] : nodes[i]->disk.volumes) volume.drive = Drive::present;
    if (!nodes[i]->is_up() && is_member(i)) start(i);
  }
}

}  // namespace volcrypt::test
