// The client on TCP under TLS, see tls_client.hpp.
#include "agent/http/tls_client.hpp"

#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <memory>
#include <optional>

#include "agent/http/wire.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::http {

using Tcp = asio::ip::tcp;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;
using Time = std::chrono::steady_clock::time_point;

namespace {

constexpr const char* look_first = "Its effect is unknown: look before doing it again.";

std::string text_of(const Tcp::endpoint& address) {
  return address.address().to_string() + " port " + std::to_string(address.port());
}

boost::system::error_code cause_of(const beast::error_code& failed) {
  if (failed == beast::error::timeout) return make_error_code(errc::timed_out);
  if (is_other_key(failed)) return make_error_code(errc::peer_refused);
  if (failed == wire::error::body_limit || failed == wire::error::header_limit)
    return make_error_code(errc::limit_exceeded);
  return failed;
}

std::string words_of(const beast::error_code& failed) {
  return is_other_key(failed) ? "another key than the cluster knows of it" : cause_of(failed).message();
}

// Why no address would do. Another key outweighs silence: somebody is there, and it is not this node.
class Attempts {
 public:
  void add(const Tcp::endpoint& address, const beast::error_code& failed) {
    if (!worst_ || is_other_key(failed)) worst_ = cause_of(failed);
    told_ += (told_.empty() ? "" : "; ") + text_of(address) + ": " + words_of(failed);
    port_ = address.port();
  }
  [[noreturn]] void give_up(const std::string& name) const {
    throw Error(
        *worst_,
        {"reach the node", quoted(name),
         "Tried " + told_ + ". " +
             (*worst_ == errc::peer_refused
                  ? std::string("If that server was set up anew, remove it from the cluster and admit it again.")
                  : "Is volcryptd running there, and does the firewall let port " + std::to_string(port_) +
                        " through? With firewalld, there: firewall-cmd --permanent --add-service=volcrypt && "
                        "firewall-cmd --reload")});
  }

 private:
  std::optional<boost::system::error_code> worst_;
  std::string told_;
  unsigned port_ = 0;
};

asio::awaitable<beast::error_code> connect(TlsStream& stream, Tcp::endpoint address, Time until) {
  auto& socket = beast::get_lowest_layer(stream);
  socket.expires_at(until);
  auto [failed] = co_await socket.async_connect(address, waiting);
  if (failed) co_return failed;
  boost::system::error_code ignored;  // a request that is sent a little later is a request
  socket.socket().set_option(Tcp::no_delay(true), ignored);
  auto [refused] = co_await stream.async_handshake(asio::ssl::stream_base::client, waiting);
  co_return refused;
}

// A stream that has proved `peer`'s key.
asio::awaitable<std::unique_ptr<TlsStream>> reach(TlsIdentity identity, const TlsPeer& peer, Time until) {
  const auto executor = co_await asio::this_coro::executor;
  Attempts attempts;
  for (std::size_t i = 0; i < peer.addresses.size(); ++i) {
    auto stream = std::make_unique<TlsStream>(executor, identity.context());
    expect_peer(*stream->native_handle(), peer.key);
    const Time now = std::chrono::steady_clock::now();
    const auto share = (until - now) / static_cast<long>(peer.addresses.size() - i);
    const beast::error_code failed = co_await connect(*stream, peer.addresses[i], now + share);
    if (!failed) co_return stream;
    attempts.add(peer.addresses[i], failed);
  }
  attempts.give_up(peer.name);
}

}  // namespace

asio::awaitable<Response> ask(TlsIdentity identity, TlsPeer peer, TlsRequest request) {
  if (peer.addresses.empty())
    throw Error(errc::invalid_argument, {"reach the node", quoted(peer.name), "No address of it is known."});
  const Time until = std::chrono::steady_clock::now() + request.deadline;
  const auto stream = co_await reach(std::move(identity), peer, until);
  auto message = render(request.method, request.target, std::move(request.body));
  wire::response_parser<wire::string_body> parser;
  parser.body_limit(request.answer_bytes);
  beast::flat_buffer buffer;
  beast::get_lowest_layer(*stream).expires_at(until);
  auto [unsent, written] = co_await wire::async_write(*stream, message, waiting);
  static_cast<void>(written);
  // A server that refuses early answers before it has read everything: its answer is worth more than EPIPE.
  beast::error_code failed = unsent;
  if (unsent != beast::error::timeout) {
    auto [unread, count] = co_await wire::async_read(*stream, buffer, parser, waiting);
    static_cast<void>(count);
    failed = unread && unsent ? unsent : unread;
  }
  if (failed) throw Error(cause_of(failed), {"get an answer from the node", quoted(peer.name), look_first});
  co_return response_of(parser.release());
}

}  // namespace volcrypt::http
