// The listener on TCP under TLS, see tls_server.hpp.
#include "agent/http/tls_server.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <cerrno>
#include <list>

#include "agent/http/conversation.hpp"
#include "agent/runtime/spawn.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::http {

using Tcp = asio::ip::tcp;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

namespace {

// What one client is likely to have as many of as it wants: an IPv4 address, or the network of an IPv6 one (RFC 6177).
std::string origin_of(const asio::ip::address& address) {
  if (address.is_v4()) return address.to_string();
  const asio::ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_string();
  const auto bytes = v6.to_bytes();
  return {bytes.begin(), bytes.begin() + 8};
}

struct Connection {
  std::string origin;
  Fingerprint key{};  // once the handshake is over
  TlsStream stream;
};
using OpenOnes = std::list<Connection*>;  // each in the frame of its own connection(); oldest first

// Ends the oldest connection that fits when there are `most` of them: its place goes to the one that came now.
template <class Fits>
void make_room(const OpenOnes& connections, std::size_t most, Fits fits) {
  Connection* oldest = nullptr;
  std::size_t count = 0;
  for (Connection* connection : connections) {
    if (!fits(*connection) || !beast::get_lowest_layer(connection->stream).socket().is_open()) continue;
    if (!oldest) oldest = connection;
    ++count;
  }
  if (oldest && count >= most) beast::get_lowest_layer(oldest->stream).close();
}

// Also to an address that the machine does not have yet. Asio has no option for it.
void bind_freely(int socket, const Tcp::endpoint& endpoint, boost::system::error_code& failed) {
  const int on = 1;
  const bool v6 = endpoint.address().is_v6();
  if (::setsockopt(socket, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_FREEBIND : IP_FREEBIND, &on, sizeof on) != 0)
    failed = errno_code(errno);
}

Tcp::acceptor listen_on(const asio::any_io_executor& executor, const Tcp::endpoint& endpoint) {
  Tcp::acceptor acceptor(executor);
  boost::system::error_code failed;
  auto tried = [&](auto step) {
    if (!failed) step();
  };
  tried([&] { acceptor.open(endpoint.protocol(), failed); });
  tried([&] { acceptor.set_option(asio::socket_base::reuse_address(true), failed); });
  if (endpoint.address().is_v6()) tried([&] { acceptor.set_option(asio::ip::v6_only(true), failed); });
  tried([&] { bind_freely(acceptor.native_handle(), endpoint, failed); });
  tried([&] { acceptor.bind(endpoint, failed); });
  tried([&] { acceptor.listen(asio::socket_base::max_listen_connections, failed); });
  if (failed)
    throw Error(failed, {"listen on", endpoint.address().to_string() + " port " + std::to_string(endpoint.port()),
                         "See with `ss -ltnp` who has the port, and with `ip address` which addresses there are."});
  return acceptor;
}

}  // namespace

struct TlsServer::State : std::enable_shared_from_this<TlsServer::State> {
  State(asio::any_io_executor where, TlsIdentity shown, const TlsLimits& bounds, Application served, IsMember knows)
      : executor(std::move(where)),
        identity(std::move(shown)),
        limits(bounds),
        application(std::move(served)),
        is_member(std::move(knows)),
        member_audience{.limits = limits.members, .application = application},
        stranger_audience{.limits = limits.strangers, .application = application} {}

  asio::any_io_executor executor;
  TlsIdentity identity;
  TlsLimits limits;
  Application application;
  IsMember is_member;
  std::list<Tcp::acceptor> acceptors;
  Audience member_audience;
  Audience stranger_audience;
  OpenOnes members;
  OpenOnes strangers;

  bool stopping() const noexcept { return member_audience.stopping; }
  void stop();
  asio::awaitable<void> accept_all(Tcp::acceptor& acceptor);
};

namespace {

// In one of the two lists for as long as it lives.
class Listed {
 public:
  Listed(OpenOnes& list, Connection& connection) : list_(&list), connection_(connection) {
    list.push_back(&connection);
  }
  Listed(const Listed&) = delete;
  Listed& operator=(const Listed&) = delete;
  ~Listed() { list_->remove(&connection_); }
  void move_to(OpenOnes& list) {
    list_->remove(&connection_);
    list_ = &list;
    list.push_back(&connection_);
  }

 private:
  OpenOnes* list_;
  Connection& connection_;
};

template <class State>
asio::awaitable<void> connection(std::shared_ptr<State> state, Tcp::socket socket, asio::ip::address address) {
  Connection mine{.origin = origin_of(address), .stream = TlsStream(std::move(socket), state->identity.context())};
  make_room(state->strangers, state->limits.of_one_address,
            [&mine](const Connection& other) { return other.origin == mine.origin; });
  make_room(state->strangers, state->limits.strangers.connections, [](const Connection&) { return true; });
  Listed listed(state->strangers, mine);

  set_deadline(mine.stream, state->limits.handshake);
  auto [failed] = co_await mine.stream.async_handshake(asio::ssl::stream_base::server, waiting);
  if (failed) co_return;  // no TLS 1.3, no key, gone, or too slow: there is nobody to tell
  mine.key = peer_fingerprint(*mine.stream.native_handle());
  Peer peer;
  peer.tls_key = mine.key;
  peer.address = address.to_string();
  const bool member = state->is_member(mine.key);
  if (member) {
    make_room(state->members, state->limits.of_one_member,
              [&mine](const Connection& other) { return other.key == mine.key; });
    listed.move_to(state->members);
  }
  if (member && state->members.size() > state->limits.members.connections) {
    Response busy = state->application.refuse(503, "too many connections at the same time");
    busy.retry_after = 1;
    co_await answer_and_leave(mine.stream, std::move(busy), state->limits.members.write);
    co_return;
  }
  co_await converse(mine.stream, std::move(peer), member ? state->member_audience : state->stranger_audience);
}

}  // namespace

asio::awaitable<void> TlsServer::State::accept_all(Tcp::acceptor& acceptor) {
  const auto self = shared_from_this();
  while (!stopping()) {
    auto [failed, socket] = co_await acceptor.async_accept(waiting);
    if (stopping() || failed == asio::error::operation_aborted) co_return;
    boost::system::error_code gone;
    Tcp::endpoint from;
    if (!failed) from = socket.remote_endpoint(gone);
    if (failed) {  // out of descriptors, or a client that left between: the next one may do better
      asio::steady_timer pause(executor, std::chrono::milliseconds(100));
      co_await pause.async_wait(waiting);
      continue;
    }
    if (gone) continue;
    boost::system::error_code ignored;  // an answer that is sent a little later is an answer
    socket.set_option(Tcp::no_delay(true), ignored);
    runtime::spawn(executor, "peer connection", connection(self, std::move(socket), from.address()));
  }
}

void TlsServer::State::stop() {
  if (std::exchange(member_audience.stopping, true)) return;
  stranger_audience.stopping = true;
  boost::system::error_code ignored;  // closing: nothing is left to be done about it
  for (auto& acceptor : acceptors) acceptor.close(ignored);
  for (const OpenOnes* list : {&members, &strangers})
    for (Connection* open : *list) beast::get_lowest_layer(open->stream).close();
}

TlsServer::TlsServer(asio::any_io_executor executor, const std::vector<Tcp::endpoint>& endpoints, TlsIdentity identity,
                     TlsLimits limits, Application application, IsMember is_member)
    : state_(std::make_shared<State>(std::move(executor), std::move(identity), limits, std::move(application),
                                     std::move(is_member))) {
  for (const Tcp::endpoint& endpoint : endpoints) state_->acceptors.push_back(listen_on(state_->executor, endpoint));
}

TlsServer::~TlsServer() { stop(); }

std::vector<Tcp::endpoint> TlsServer::endpoints() const {
  std::vector<Tcp::endpoint> bound;
  for (const auto& acceptor : state_->acceptors) bound.push_back(acceptor.local_endpoint());
  return bound;
}

void TlsServer::run() {
  for (auto& acceptor : state_->acceptors)
    runtime::spawn(state_->executor, "peer listener", state_->accept_all(acceptor));
}

void TlsServer::stop() { state_->stop(); }

TlsServer::Connections TlsServer::connections() const noexcept {
  return {.members = state_->members.size(), .strangers = state_->strangers.size()};
}

}  // namespace volcrypt::http
