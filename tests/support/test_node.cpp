// TestNode, see test_node.hpp.
#include "tests/support/test_node.hpp"

#include <boost/asio/steady_timer.hpp>

#include "agent/cluster/keys_of_store.hpp"
#include "agent/keys/authority.hpp"
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

std::unique_ptr<keys::Keyring> software(const std::string& directory) {
  return std::make_unique<keys::Keyring>(std::make_unique<keys::SoftwareKekStore>(directory + "/software"),
                                         std::chrono::seconds(30));
}

}  // namespace

TestNode::TestNode(std::string where, std::shared_ptr<FileDevices> seen)
    : directory(std::move(where)),
      devices(std::move(seen)),
      store(directory + "/store.db"),
      keys(nullptr, software(directory)),
      pin(directory + "/pin.json", files),
      node_file(directory + "/node.json", files),
      volumes({{}, {}, directory}, store, keys, worker, devices),
      member({store, keys, pin, node_file, files, volumes, directory + "/recovery"}, "node1"),
      cluster(store, member, pin, Protection::software, quick()) {
  await(node_file.load());
  const auto pinned = await(pin.read());
  if (!pinned) {
    make_cluster();
  } else {
    if (node_file.known()->protection) keys.choose(*node_file.known()->protection);
    volumes.known_as(node_file.known()->identity.node);
    volumes.joined(pinned->pin.cluster);
  }
}

TestNode::~TestNode() = default;

void TestNode::make_cluster() {
  const Uuid cluster = Uuid::random(), node = Uuid::random();
  const auto authority = keys::AdminKey::generate(keys::AdminKey::Purpose::authority, cluster);
  const auto recovery = keys::AdminKey::generate(keys::AdminKey::Purpose::recovery, cluster);
  const keys::IdentityRequest request{authority.public_der(), cluster, node};
  const keys::NodeIdentity identity =
      await(keys.of(Protection::software).with("identity", [request](keys::KekStore& kek_store) {
        return kek_store.identity(request);
      }));
  await(node_file.enrolled(request));

  cluster::Membership membership;
  membership.cluster = cluster;
  membership.cluster_name = "test";
  membership.authority_public = authority.public_der();
  membership.recovery_point = recovery.public_point();
  cluster::MemberEntry self;
  self.node = node;
  self.name = "node1";
  self.software = identity;
  self.software_approvals = keys::approve_node(authority, {identity, node, 1, recovery.public_point(), {}, {}});
  membership.members = {self};
  const std::string document = cluster::to_json(membership);
  await(member.adopt_membership({document, authority.sign(cluster::signing_input(document))}));

  cluster::EncryptionState state;
  state.feature_flag = true;
  state.phase = cluster::EncryptionPhase::Enabling;
  state.protection = Protection::software;
  state.highest_used = state.distributing = 1;
  put_state(state);
  make_kek(1);
  state.phase = cluster::EncryptionPhase::Enabled;
  state.current = 1;
  state.distributing = 0;
  put_state(state);
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
  return cluster::parse_encryption_state(entry.value().value);
}

void TestNode::start() {
  await(volumes.start());
  await(member.prove_kept_keys());
  await(cluster.start());
}

bool TestNode::come_to_rest() {
  const auto limit = std::chrono::steady_clock::now() + 120s;
  for (int held_up = 0; held_up < 10;) {
    const cluster::RotationView view = await(cluster.rotation());
    if (rests(view.state)) return true;
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
