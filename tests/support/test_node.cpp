// TestNode, see test_node.hpp.
#include "tests/support/test_node.hpp"

#include <boost/asio/steady_timer.hpp>
#include <filesystem>

#include "agent/absent_store.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "agent/keys/software_kek_store.hpp"

namespace volcrypt::test {

namespace {

using keys::Protection;
using namespace std::chrono_literals;

// Quick to try again; and a lease that is never renewed, so that a slow machine makes the same writes as a fast one.
constexpr auto shortest = 1ms, longest = 4ms;

cluster::DriverOptions quick() {
  cluster::DriverOptions options;
  options.first_pause = shortest;
  options.longest_pause = longest;
  options.lease_ttl = 24h;
  return options;
}

asio::awaitable<void> doze(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

bool rests(const cluster::EncryptionState& state) {
  return state.rotation == cluster::RotationPhase::NoRotation && state.distributing == 0 && state.retiring.empty();
}

// What /run/volcrypt is to a daemon.
std::string runtime_directory(const std::string& directory) {
  std::filesystem::create_directory(directory + "/run");
  return directory + "/run";
}

std::unique_ptr<keys::Keyring> software(const std::string& directory) {
  return std::make_unique<keys::Keyring>(std::make_unique<keys::SoftwareKekStore>(directory + "/software"),
                                         std::chrono::seconds(30));
}

}  // namespace

TestNode::TestNode(std::string where, std::shared_ptr<FileDevices> seen, Without without,
                   std::chrono::milliseconds longest_call)
    : directory(std::move(where)),
      devices(std::move(seen)),
      store(directory + "/store.db"),
      keys(nullptr, software(directory)),
      pin(directory + "/pin.json", files),
      node_file(directory + "/node.json", files),
      volumes({{}, {}, directory, runtime_directory(directory), longest_call}, store, keys, worker, devices),
      member({store, keys, pin, node_file, files, volumes, directory + "/recovery"}, "node1"),
      cluster(store, member, pin, Protection::software, {}, quick()),
      store_home(
          {directory, pin, files, [] {}},
          {{}, std::make_unique<AbsentStore>(Error(errc::wrong_state, {"ask", "a store that is not there", ""}))}) {
  await(node_file.load());
  if (node_file.known() && node_file.known()->protection) keys.choose(*node_file.known()->protection);
  if (node_file.known()) volumes.known_as(node_file.known()->identity.node);
  const auto pinned = await(pin.read());
  if (pinned) {
    volumes.joined(pinned->pin.cluster);
  } else if (without == Without::make_one) {
    become_cluster(Administrators());
    enable();
  }
}

TestNode::~TestNode() = default;

void TestNode::become_cluster(const Administrators& administrators) {
  if (await(cluster.membership())) return;  // volcryptctl asks first, too
  const keys::IdentityRequest request = administrators.request();
  const control::EnrolRequest enrol{request, control::TpmUse::left_out};
  const control::EnrolledNode enrolled = await(services.enrol(enrol));
  await(services.init_cluster(administrators.admit(enrolled.node, enrolled.software)));
}

void TestNode::enable() {
  await(cluster.set_feature_flag());
  await(cluster.enable(Protection::software));
}

void TestNode::put(const std::string& key, std::string value) {
  cluster::Transaction transaction;
  transaction.then = {cluster::Put{key, std::move(value)}};
  const auto done = await(store.commit(std::move(transaction)));
  if (!done) throw Error(done.error(), {"write", key, ""});
}

void TestNode::put_state(const cluster::EncryptionState& state) {
  put(std::string(cluster::store_key::encryption), cluster::to_json(state));
}

void TestNode::make_kek(cluster::Generation generation) {
  const keys::KekRecord record = await(member.create_kek(generation));
  put(cluster::store_key::generation(generation), cluster::to_json(record));
  await(member.prove_kek(record));
}

cluster::EncryptionState TestNode::state() {
  const auto entry = await(store.get(std::string(cluster::store_key::encryption)));
  return entry ? cluster::parse_encryption_state(entry->value) : cluster::EncryptionState{};
}

// volumes.start() needs no cluster: it finds nothing then.
void TestNode::start() {
  await(volumes.start());
  await(member.prove_kept_keys());
  await(cluster.start());
}

bool TestNode::come_to_rest() {
  const auto limit = std::chrono::steady_clock::now() + 120s;
  // The lease is given back last of all; one whose giving back failed stays, and is not waited for.
  constexpr int looks_for_the_lease = 100;
  for (int held_up = 0, rested = 0; held_up < 10;) {
    const cluster::RotationView view = await(cluster.rotation());
    if (rests(view.state) && (view.coordinator.empty() || ++rested == looks_for_the_lease)) return true;
    held_up = view.waiting_for.empty() ? 0 : held_up + 1;
    await(doze(longest));
    if (std::chrono::steady_clock::now() > limit) throw std::logic_error("the coordinator neither rests nor says why");
  }
  return false;
}

void TestNode::make_current(cluster::Generation generation) {
  make_kek(generation);
  cluster::EncryptionState next = state();
  next.previous.insert(next.current);
  next.current = next.highest_used = generation;
  put_state(next);
}

void TestNode::forget(cluster::Generation generation) {
  cluster::EncryptionState next = state();
  next.previous.erase(generation);
  put_state(next);
  await(member.retire_kek(generation));
}

volumes::VolumeView TestNode::create(const std::string& name, const std::string& device) {
  return await(volumes.create({name, device, dm::ExistingData::refuse, dm::Discards::refused})).volume;
}

}  // namespace volcrypt::test
