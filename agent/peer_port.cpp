// See peer_port.hpp.
#include "agent/peer_port.hpp"

#include "agent/cluster/keys_of_store.hpp"
#include "agent/cluster/state.hpp"
#include "agent/keys/tls_key.hpp"
#include "agent/peer/client.hpp"
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
      api_({[this] { return roster_; }, receiver_, duties_, parts_.node, VOLCRYPT_VERSION}) {}

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

void PeerPort::know(cluster::Membership membership) {
  roster_ = std::make_shared<const peer::Roster>(std::move(membership));
}

asio::awaitable<std::optional<keys::KekRecord>> PeerPort::record(keys::Generation generation) {
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
