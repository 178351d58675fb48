// See peer_port.hpp.
#include "agent/peer_port.hpp"

#include "agent/cluster/kek_upkeep.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "agent/cluster/state.hpp"
#include "agent/keys/tls_key.hpp"
#include "agent/peer/client.hpp"
#include "agent/peer/remote_member.hpp"
#include "agent/runtime/log.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt {

namespace {

std::optional<http::TlsIdentity> open_identity(const std::filesystem::path& directory, std::optional<Error>& failure) {
  try {
    return http::TlsIdentity(*keys::open_or_make_tls_key(directory));
  } catch (const Error& error) {
    failure = error;
    return std::nullopt;
  }
}

}  // namespace

PeerPort::PeerPort(Parts parts)
    : parts_(std::move(parts)),
      identity_(open_identity(parts_.directory, no_key_)),
      receiver_(parts_.keys, [this](keys::Generation generation) { return record(generation); }),
      duties_(parts_.self, [this] { return state(); }),
      api_({[this] { return roster_; }, receiver_, duties_, parts_.node, VOLCRYPT_VERSION, parts_.took_over,
            [this](cluster::MemberEntry to, keys::Generation generation) { return bring(std::move(to), generation); },
            parts_.wants_to_join, parts_.holds, parts_.heard_of}) {}

const http::TlsIdentity& PeerPort::identity() const {
  if (!identity_) throw Error(*no_key_);
  return *identity_;
}

Bytes PeerPort::fingerprint() const {
  const http::Fingerprint& key = identity().fingerprint();
  return {key.begin(), key.end()};
}

std::vector<std::string> PeerPort::addresses() const {
  std::vector<std::string> all;
  for (const peer::Address& address : parts_.addresses) all.push_back(peer::to_text(address));
  return all;
}

cluster::MemberPtr PeerPort::reach(const cluster::MemberEntry& member) const {
  peer::RemoteMember::Parts parts{parts_.node(), identity(), [this] { return roster_; }, parts_.keys};
  return std::make_shared<peer::RemoteMember>(std::move(parts), member);
}

void PeerPort::know(cluster::Membership membership) {
  if (roster_ && membership.version < roster_->membership().version) return;  // adopted side by side, and overtaken
  roster_ = std::make_shared<const peer::Roster>(std::move(membership));
}

asio::awaitable<std::optional<keys::KekRecord>> PeerPort::record(keys::Generation generation) {
  const cluster::EncryptionState now = co_await state();
  if (generation != now.current && generation != now.distributing && !now.previous.contains(generation))
    co_return std::nullopt;  // it is being let go
  const auto entry = co_await parts_.store.get(cluster::store_key::generation(generation));
  if (!entry) co_return std::nullopt;
  co_return cluster::parse_kek_record(entry->value);
}

asio::awaitable<cluster::EncryptionState> PeerPort::state() {
  const auto entry = co_await parts_.store.get(std::string(cluster::store_key::encryption));
  co_return entry ? cluster::parse_encryption_state(entry->value) : cluster::EncryptionState{};
}

void PeerPort::listen() {
  if (server_ || parts_.addresses.empty()) return;
  server_ = std::make_unique<http::TlsServer>(parts_.executor, parts_.addresses, identity(), http::TlsLimits{},
                                              api_.application(),
                                              [this](const http::Fingerprint& key) { return api_.is_member(key); });
  server_->run();
}

void PeerPort::stop() {
  if (server_) server_->stop();
}

std::string PeerPort::name_of(const Uuid& node) const {
  const cluster::MemberEntry* entry = roster_ ? roster_->by_node(node) : nullptr;
  return entry == nullptr ? "" : entry->name;
}

// The store is trusted for order, not for who is a member: its document counts as the one that was adopted, or not.
asio::awaitable<volumes::MembersNow> PeerPort::members() {
  const auto entry = co_await parts_.store.get(std::string(cluster::store_key::membership));
  const peer::CurrentRoster roster = roster_;
  const auto stored = entry ? cluster::parse_membership(cluster::parse_signed_membership(entry->value).document).version
                            : std::uint64_t{0};
  if (!roster || stored != roster->membership().version)
    throw Error(errc::wrong_state, {"find out", "who the cluster's members are now",
                                    "The store has another membership document than this node has adopted: it does so "
                                    "within seconds, unless it is no member any more."});
  volumes::MembersNow now;
  now.revision = entry->modified;
  for (const cluster::MemberEntry& member : roster->membership().members) now.names.emplace(member.node, member.name);
  co_return now;
}

asio::awaitable<volumes::Holding> PeerPort::ask(Uuid node, Uuid volume) {
  const peer::CurrentRoster roster = roster_;
  const cluster::MemberEntry* entry = roster ? roster->by_node(node) : nullptr;
  if (entry == nullptr)
    throw Error(errc::wrong_state, {"ask", "the node " + node.str(), "It is no member of the cluster any more."});
  const peer::Client client(identity(), roster->reach(*entry));
  co_return co_await client.holds(volume);
}

asio::awaitable<void> PeerPort::ask_to_join(peer::Address address, http::Fingerprint key,
                                            cluster::JoinRequest request) const {
  http::TlsPeer member{peer::to_text(address), {}, key};
  member.addresses.push_back(address);
  const peer::Client client(identity(), std::move(member));
  co_await client.join(std::move(request));
}

asio::awaitable<void> PeerPort::bring(cluster::MemberEntry to, keys::Generation generation) {
  const auto recorded = co_await record(generation);
  if (!recorded)
    throw Error(errc::wrong_generation, {"bring", "KEK generation " + std::to_string(generation),
                                         "It is none that the cluster's volumes may need."});
  const cluster::MemberPtr member = reach(to);
  co_await member->prove_kek(*recorded);
}

asio::awaitable<void> PeerPort::fetch_missing_keks() {
  const cluster::EncryptionState now = co_await state();
  if (!now.protection || now.current == 0 || !roster_ || roster_->membership().members.size() < 2) co_return;
  std::set<keys::Generation> needed = cluster::missing_keks(now, {});
  if (needed == held_) co_return;
  const auto look = [](keys::KekStore& store) { return store.held(); };
  const auto records = co_await parts_.keys.of(*now.protection).with("look for KEKs", look);
  std::set<keys::Generation> held;
  for (const keys::KekRecord& record : records) held.insert(record.generation);
  const std::set<keys::Generation> missing = cluster::missing_keks(now, held);
  // The newest first: new volumes need it; what volumes that are away need may have to wait.
  std::optional<Error> failure;
  for (auto generation = missing.rbegin(); generation != missing.rend(); ++generation) {
    try {
      co_await fetch(*generation);
    } catch (const Error& error) {
      failure = error;
    }
  }
  if (failure) throw Error(*failure);
  // While generations come and go, what was here a moment ago says little.
  if (now.previous.empty() && now.retiring.empty()) held_ = std::move(needed);
}

asio::awaitable<void> PeerPort::fetch(keys::Generation generation) {
  const peer::CurrentRoster roster = roster_;
  std::string told;
  for (const cluster::MemberEntry& member : roster->membership().members) {
    if (member.node == parts_.node()) continue;
    try {
      const peer::Client client(identity(), roster->reach(member));
      co_await client.want(generation);
      runtime::log(runtime::Severity::notice, "a KEK that was missing here was brought",
                   {{"generation", std::to_string(generation)}, {"by", member.name}});
      co_return;
    } catch (const Error& error) {
      told += (told.empty() ? "" : "; ") + member.name + ": " + error.what();
    }
  }
  throw Error(errc::wrong_generation, {"get", "KEK generation " + std::to_string(generation) + " from another member",
                                       told.empty() ? "There is none." : told});
}

asio::awaitable<peer::Hello> PeerPort::hello(cluster::MemberEntry member) const {
  const peer::CurrentRoster roster = roster_;
  if (!roster) throw Error(errc::wrong_state, {"ask", "a member", "This node belongs to no cluster."});
  const peer::Client client(identity(), roster->reach(member));
  const peer::Hello hello = co_await client.hello();
  if (hello.cluster != roster->membership().cluster || hello.node != member.node)
    throw Error(errc::peer_refused,
                {"reach the node", volcrypt::quoted(member.name), "Another node answers in its place."});
  co_return hello;
}

asio::awaitable<void> PeerPort::greet() {
  const peer::CurrentRoster roster = roster_;
  if (!roster) co_return;
  for (const cluster::MemberEntry& member : roster->membership().members) {
    if (member.node == parts_.node()) continue;
    try {
      (void)co_await hello(member);
    } catch (const Error&) {  // it finds out by itself
    }
  }
}

asio::awaitable<std::string> PeerPort::unreachable(cluster::MemberEntry member) const {
  if (member.addresses.empty()) co_return "";
  try {
    (void)co_await hello(std::move(member));
    co_return "";
  } catch (const Error& error) {
    co_return error.what();
  }
}

}  // namespace volcrypt
