// See peer_cluster.hpp.
#include "tests/support/peer_cluster.hpp"

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>

#include "agent/peer/address.hpp"

namespace volcrypt::test {

using keys::KekStore;
using keys::Protection;

namespace {

// The store of a node that has its approvals, and what the membership document says of it.
std::unique_ptr<KekStore> enrolled(const PeerCluster& cluster, tests::KekNode& node, cluster::MemberEntry& entry) {
  std::unique_ptr<KekStore> store = node.open();
  keys::NodeIdentity identity = store->identity({cluster.authority.public_der(), cluster.id, entry.node});
  keys::Approvals approvals = keys::approve_node(
      cluster.authority,
      {identity, entry.node, 1, cluster.recovery.public_point(), node.pcrs(), node.boot_state_digest(), {}});
  store->adopt(approvals);
  const bool tpm = store->protection() == Protection::tpm;
  (tpm ? entry.tpm : entry.software) = std::move(identity);
  (tpm ? entry.tpm_approvals : entry.software_approvals) = std::move(approvals);
  return store;
}

keys::NodeKeys node_keys(std::unique_ptr<KekStore> store) {
  const bool tpm = store->protection() == Protection::tpm;
  auto keyring = std::make_unique<keys::Keyring>(std::move(store), std::chrono::minutes(1), std::chrono::seconds(0));
  return tpm ? keys::NodeKeys(std::move(keyring), nullptr) : keys::NodeKeys(nullptr, std::move(keyring));
}

cluster::MemberEntry new_entry(std::size_t number) {
  cluster::MemberEntry entry;
  entry.node = Uuid::random();
  entry.name = "node-" + std::to_string(number);
  return entry;
}

asio::awaitable<std::optional<keys::KekRecord>> look_up(const PeerCluster& cluster, keys::Generation generation) {
  co_return cluster.record_of(generation);
}

asio::awaitable<volumes::Holding> holding_of(const std::map<Uuid, volumes::Holding>& known, Uuid volume) {
  const auto found = known.find(volume);
  if (found == known.end()) throw Error(errc::timed_out, {"ask udev", "for volumes", ""});
  co_return found->second;
}

asio::awaitable<cluster::EncryptionState> read(const cluster::EncryptionState& stored) { co_return stored; }

}  // namespace

PeerNode::PeerNode(PeerCluster& cluster, const tests::KekNodeMaker& maker, std::size_t number)
    : cluster_(cluster),
      node_(maker()),
      protection_(node_->open()->protection()),
      entry_(new_entry(number)),
      keys_(node_keys(enrolled(cluster, *node_, entry_))),
      receiver_(keys_, [this](keys::Generation generation) { return look_up(cluster_, generation); }),
      duties_(
          member_, [this] { return read(stored_); }, std::chrono::milliseconds(200)),
      api_({[this] { return roster(); },
            receiver_,
            duties_,
            [this] { return entry_.node; },
            "0.0.0",
            {},
            {},
            {},
            [this](Uuid volume) { return holding_of(holding_, volume); }}),
      server_(std::make_unique<http::TlsServer>(loop_.get_executor(),
                                                std::vector{peer::Address(asio::ip::make_address("127.0.0.1"), 0)},
                                                secret_.identity, http::TlsLimits{}, api_.application(),
                                                [this](const http::Fingerprint& key) { return api_.is_member(key); })) {
  const http::Fingerprint& key = secret_.identity.fingerprint();
  entry_.tls_fingerprint.assign(key.begin(), key.end());
  for (const Endpoint& endpoint : server_->endpoints()) entry_.addresses.push_back(peer::to_text(endpoint));
  server_->run();
  thread_ = std::thread([this] {
    const auto guard = asio::make_work_guard(loop_);
    loop_.run();
  });
}

PeerNode::~PeerNode() { stop(); }

void PeerNode::stop() {
  if (!thread_.joinable()) return;
  asio::post(loop_, [this] {
    server_->stop();
    loop_.stop();
  });
  thread_.join();
}

void PeerNode::know(peer::CurrentRoster roster) {
  const std::lock_guard lock(mutex_);
  roster_ = std::move(roster);
}

peer::CurrentRoster PeerNode::roster() const {
  const std::lock_guard lock(mutex_);
  return roster_;
}

peer::Client PeerNode::client_of(const PeerNode& other) const {
  const peer::CurrentRoster known = roster();
  return {secret_.identity, known->reach(*known->by_node(other.entry().node))};
}

std::unique_ptr<peer::RemoteMember> PeerNode::remote(const PeerNode& other) {
  return std::make_unique<peer::RemoteMember>(
      peer::RemoteMember::Parts{entry_.node, secret_.identity, [this] { return roster(); }, keys_}, other.entry());
}

PeerCluster::PeerCluster(const tests::KekNodeMaker& maker, std::size_t nodes) {
  for (std::size_t number = 0; number < nodes; ++number) {
    nodes_.push_back(std::make_unique<PeerNode>(*this, maker, number));
    membership_.members.push_back(nodes_.back()->entry());
  }
  membership_.cluster = id;
  tell_roster();
}

void PeerCluster::tell_roster() {
  const auto roster = std::make_shared<const peer::Roster>(membership_);
  for (const auto& node : nodes_) node->know(roster);
}

keys::KekRecord PeerCluster::create(std::size_t node, keys::Generation generation) {
  const auto do_create = [generation](KekStore& store) { return store.create(generation); };
  const keys::KekRecord made = nodes_.at(node)->with_keys(do_create);
  record(made);
  return made;
}

void PeerCluster::record(const keys::KekRecord& record) {
  const std::lock_guard lock(mutex_);
  records_[record.generation] = record;
}

std::optional<keys::KekRecord> PeerCluster::record_of(keys::Generation generation) const {
  const std::lock_guard lock(mutex_);
  const auto found = records_.find(generation);
  return found == records_.end() ? std::nullopt : std::optional(found->second);
}

void PeerCluster::bring(std::size_t from, std::size_t to, const keys::KekRecord& record) {
  PeerNode& sender = *nodes_.at(from);
  const cluster::MemberEntry& receiver = nodes_.at(to)->entry();
  const bool tpm = record.protection == Protection::tpm;
  const keys::NodeIdentity& identity = tpm ? receiver.tpm : receiver.software;
  const keys::Approvals& approvals = tpm ? receiver.tpm_approvals : receiver.software_approvals;
  const peer::Client client = sender.client_of(*nodes_.at(to));
  sender.run(peer::bring_kek(
      sender.keyring(), client,
      {record, sender.entry().node, {receiver.node, identity.storage_key, approvals.duplication_approvals}}));
}

void PeerCluster::remove(std::size_t node) {
  const Uuid gone = nodes_.at(node)->entry().node;
  const peer::CurrentRoster before = nodes_.at(node)->roster();
  std::erase_if(membership_.members, [&](const cluster::MemberEntry& member) { return member.node == gone; });
  tell_roster();
  nodes_.at(node)->know(before);  // whoever is removed does not hear of it
}

bool PeerCluster::same_group_key(std::size_t left, std::size_t right, keys::Generation generation) {
  const std::vector<Uuid> group{Uuid::random()};
  const auto ask = [=](KekStore& store) { return store.group_keys(generation, group); };
  return equals(nodes_.at(left)->with_keys(ask).front(), nodes_.at(right)->with_keys(ask).front());
}

}  // namespace volcrypt::test
