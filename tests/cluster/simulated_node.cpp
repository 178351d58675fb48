// See simulated_node.hpp.
#include "tests/cluster/simulated_node.hpp"

#include <boost/asio/detached.hpp>

#include "agent/cluster/kek_upkeep.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "dmtarget/error.hpp"
#include "tests/cluster/member_far_away.hpp"

namespace volcrypt::test {

using namespace cluster;

namespace {

constexpr auto between_looks = 5s;

// In memory where there is such a place: each of many thousand pins is synchronised to it.
std::filesystem::path pins() {
  const std::filesystem::path memory = "/dev/shm";
  return std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
}

Error refusal(Generation generation, const char* why) {
  return Error(errc::wrong_generation, {"use", "KEK generation " + std::to_string(generation), why});
}

}  // namespace

// ---- the member at home ----

MemberAtHome::MemberAtHome(SimulatedNode& node, const Surroundings& around)
    : node_(node), around_(around), inner_(node.disk, node.store, node.pin.get()) {}

asio::awaitable<keys::KekRecord> MemberAtHome::create_kek(Generation generation) {
  around_.number_was_used(generation);
  in_the_making_.insert(generation);
  std::exception_ptr failure;
  keys::KekRecord record;
  try {
    record = co_await inner_.create_kek(generation);
  } catch (const boost::system::system_error&) {
    failure = std::current_exception();
  }
  in_the_making_.erase(generation);
  if (failure) std::rethrow_exception(failure);
  const auto pinned = co_await node_.pin->read();
  if (pinned) record.trust_epoch = parse_membership(pinned->newest.document).trust_epoch;
  co_return record;
}

// Nothing comes by the way here, as it does with a member far away.
asio::awaitable<void> MemberAtHome::prove_kek(const keys::KekRecord& record) {
  if (!node_.disk.held.contains(record.generation)) throw refusal(record.generation, "It is not here.");
  auto proof = inner_.prove_kek(record);
  co_await std::move(proof);
}

asio::awaitable<RewrapProgress> MemberAtHome::rewrap_volumes(Generation to) {
  auto progress = co_await inner_.rewrap_volumes(to);
  co_await catalogue_volumes();
  co_return progress;
}

// The header first, the record then.
asio::awaitable<void> MemberAtHome::catalogue_volumes() {
  const auto volumes = node_.disk.volumes;
  for (const auto& [name, volume] : volumes) {
    VolumeRecord record;
    record.name = name;
    record.volume = Uuid::parse("00000000-0000-4000-8000-000000000001");
    record.group = record.volume;
    record.owner = node_.disk.id;
    record.generation = volume.generation;
    Transaction transaction;
    transaction.then.emplace_back(Put{store_key::volume(name), to_json(record)});
    (void)co_await node_.store.commit(std::move(transaction));
  }
}

// Headers add to what the catalogue says, they never take away from it.
asio::awaitable<std::set<Generation>> MemberAtHome::census() {
  auto needed = co_await inner_.census();
  const auto entries = co_await node_.store.list(std::string(store_key::volumes));
  for (const auto& entry : entries) {
    const auto record = parse_volume_record(entry.value);
    if (record.owner == node_.disk.id) needed.insert(record.generation);
  }
  co_return needed;
}

asio::awaitable<void> MemberAtHome::retire_kek(Generation generation) {
  if (in_the_making_.contains(generation)) throw refusal(generation, "It is still being made.");
  co_await inner_.retire_kek(generation);
}

asio::awaitable<void> MemberAtHome::receive_kek(Uuid sender, keys::KekRecord record) {
  const auto known = co_await node_.known_members();
  if (!known.contains(sender)) throw refusal(record.generation, "Who sends it is no member.");
  const auto key = store_key::generation(record.generation);
  const auto before = co_await node_.store.get(key);
  if (!before) throw refusal(record.generation, "The store does not have its record.");
  co_await inner_.prove_kek(record);
  const auto after = co_await node_.store.get(key);
  if (after) co_return;
  co_await inner_.retire_kek(record.generation);  // let go while it was on its way
  throw refusal(record.generation, "It was let go meanwhile.");
}

// ---- the node ----

SimulatedNode::SimulatedNode(std::size_t place, Uuid id, const Surroundings& around)
    : number(place), store(around.network, around.store, place, around.store_end), around_(around), directory_(pins()) {
  disk.id = id;
  disk.name = "node" + std::to_string(place + 1);
  pin = std::make_unique<LocalPin>(directory_.path() / "cluster.json", around.files);
}

void SimulatedNode::start(DriverOptions options) {
  kill();
  options.clock = &around_.clock;
  looked_for_strays_.reset();
  loop = std::make_unique<asio::io_context>(1);
  member = std::make_unique<MemberAtHome>(*this, around_);
  const auto others = [this](const MemberEntry& entry) { return reach(entry); };
  service =
      std::make_unique<ClusterService>(store, *member, *pin, keys::Protection::software, others, std::move(options));
  asio::co_spawn(*loop, live(), asio::detached);
}

void SimulatedNode::kill() {
  loop.reset();
  service.reset();
  member.reset();
}

bool SimulatedNode::turn() {
  if (!loop) return false;
  loop->restart();
  return loop->poll_one() != 0;
}

asio::awaitable<std::set<Uuid>> SimulatedNode::known_members() {
  const auto pinned = co_await pin->read();
  if (!pinned) co_return std::set<Uuid>();
  if (opened_.first != pinned->newest.document) {
    opened_ = {pinned->newest.document, {}};
    for (const auto& entry : parse_membership(opened_.first).members) opened_.second.insert(entry.node);
  }
  co_return opened_.second;
}

MemberPtr SimulatedNode::reach(const MemberEntry& entry) {
  auto* other = around_.node_of(entry.node);
  return other == nullptr ? nullptr : std::make_shared<MemberFarAway>(*this, *other, around_);
}

asio::awaitable<void> SimulatedNode::live() {
  std::string told;
  for (bool started = false;;) {
    std::string failure;
    try {
      if (!started) co_await service->start();
      started = true;
      co_await look_around();
    } catch (const boost::system::system_error& error) {
      failure = error.what();
    }
    if (!failure.empty() && failure != told) around_.told(disk.name + ": " + failure);
    told = failure;
    co_await around_.clock.pause(between_looks);
  }
}

// What agent.cpp does every few seconds, and when a drive comes.
asio::awaitable<void> SimulatedNode::look_around() {
  co_await service->stand_by();
  co_await look_after_keks();
  const auto state = co_await service->encryption();
  bool is_behind = false;
  for (const auto& [name, volume] : disk.volumes)
    is_behind |= volume.drive == Drive::present && volume.generation != state.current;
  if (!is_behind || !disk.held.contains(state.current) || state.rotation != RotationPhase::NoRotation) co_return;
  co_await member->rewrap_volumes(state.current);
  co_await service->reconsider_retirement();
}

asio::awaitable<void> SimulatedNode::look_after_keks() {
  const auto held = disk.held;
  const auto adopted = disk.adopted;
  const auto state = co_await service->encryption();
  if (looked_for_strays_ != adopted) {
    const auto strays = stray_keks(state, held);
    const auto gone = strays.value_or(std::set<Generation>());
    for (const auto generation : gone) co_await member->retire_kek(generation);
    if (strays) looked_for_strays_ = adopted;
  }
  const auto members = co_await known_members();
  const auto missing = missing_keks(state, held);
  for (const auto generation : missing) {
    for (const auto& id : members) {
      auto* other = around_.node_of(id);
      if (other == nullptr || other == this || disk.held.contains(generation)) continue;
      co_await MemberFarAway(*this, *other, around_).give_kek(generation);
    }
  }
}

}  // namespace volcrypt::test
