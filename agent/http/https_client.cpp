// The client of servers with certificates, see https_client.hpp.
#include "agent/http/https_client.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <map>
#include <optional>

#include "agent/http/wire.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::http {

using Clock = std::chrono::steady_clock;
using Tcp = asio::ip::tcp;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;
namespace ssl = asio::ssl;

namespace {

constexpr std::size_t largest_head = 128 * 1024;  // bytes that are read ahead, a head and a chunk's marks among them
constexpr const char* look_first = "Its effect is unknown: look before doing it again.";

// ---- files ----

std::string openssl_says() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "" : std::string(" (") + reason + ")";
}

void take(bool taken, const std::filesystem::path& file, const std::string& expected) {
  if (taken) return;
  if (::access(file.c_str(), R_OK) != 0)
    throw Error(errno_code(errno), {"read", file, "It is to be " + expected + "."});
  throw Error(errc::invalid_argument, {"use", file, "It is not " + expected + openssl_says() + "."});
}

// OpenSSL would ask on the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*unused*/) { return -1; }

void show(SSL_CTX* context, const HttpsFiles& files) {
  take(SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) == 1, files.certificate,
       "a certificate in PEM");
  take(SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) == 1 &&
           SSL_CTX_check_private_key(context) == 1,
       files.key, "the private key of " + files.certificate.string() + " in PEM, without a passphrase");
}

// ---- the connection ----

std::optional<asio::ip::address> as_address(const std::string& host) {
  boost::system::error_code failed;
  const auto address = asio::ip::make_address(host, failed);
  if (failed) return std::nullopt;
  return address;
}

// RFC 6125: the certificate is of the name or address that was asked for, not of where it led.
bool expect(SSL* connection, const std::string& host) {
  X509_VERIFY_PARAM* expected = SSL_get0_param(connection);
  if (as_address(host)) return X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1;
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return X509_VERIFY_PARAM_set1_host(expected, host.c_str(), host.size()) == 1 &&
         SSL_ctrl(connection, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                  const_cast<char*>(host.c_str())) == 1;  // no const there
}

boost::system::error_code cause_of(const beast::error_code& failed) {
  if (failed == beast::error::timeout) return make_error_code(errc::timed_out);
  if (failed == wire::error::body_limit || failed == wire::error::header_limit)
    return make_error_code(errc::limit_exceeded);
  return failed;
}

bool is_of_tls(const beast::error_code& failed) { return failed.category() == asio::error::get_ssl_category(); }

// With TLS 1.3 (RFC 8446 4.4.2.4) the server's verdict on our certificate comes when we believe the handshake to be
// over, in the place of an answer.
bool is_verdict_on_us(const beast::error_code& failed) {
  if (!is_of_tls(failed)) return false;
  switch (ERR_GET_REASON(static_cast<unsigned long>(failed.value())) - SSL_AD_REASON_OFFSET) {
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case TLS13_AD_CERTIFICATE_REQUIRED:
      return true;
    default:
      return false;
  }
}

Error refusal(SSL* connection, const beast::error_code& failed, const HttpsServer& server) {
  const long verdict = SSL_get_verify_result(connection);
  if (is_of_tls(failed) && verdict != X509_V_OK)
    return {make_error_code(errc::peer_refused),
            {"believe", to_text(server),
             std::string("Its certificate was not accepted: ") + X509_verify_cert_error_string(verdict) + "."}};
  if (is_of_tls(failed))
    return {make_error_code(errc::peer_refused),
            {"agree on TLS with", to_text(server), "The handshake failed: " + failed.message() + "."}};
  return {cause_of(failed), {"connect to", to_text(server), ""}};
}

using Addresses = std::vector<Tcp::endpoint>;

// A resolver's call cannot be ended, only no longer be waited for: until it returns, whoever asks for the same name
// waits for the same call, so that a DNS that is down has one question after the other and not all that were ever
// asked.
struct Lookup {
  explicit Lookup(const asio::any_io_executor& executor) : resolver(executor) {}
  Tcp::resolver resolver;
  bool answered = false;
  boost::system::error_code failed;
  Addresses found;
};

std::shared_ptr<Lookup> look_up(const asio::any_io_executor& executor, const HttpsServer& server) {
  using Key = std::pair<const void*, std::string>;  // of a loop
  thread_local std::map<Key, std::weak_ptr<Lookup>> under_way;
  std::erase_if(under_way, [](const auto& entry) { return entry.second.expired(); });
  const Key key{&executor.context(), to_text(server)};
  if (auto present = under_way[key].lock(); present && !present->answered) return present;
  auto lookup = std::make_shared<Lookup>(executor);
  under_way[key] = lookup;
  lookup->resolver.async_resolve(server.host, std::to_string(server.port),
                                 [lookup](const boost::system::error_code& failed, const auto& results) {
                                   lookup->answered = true;
                                   lookup->failed = failed;
                                   for (const auto& result : results) lookup->found.push_back(result.endpoint());
                                 });
  return lookup;
}

asio::awaitable<Addresses> find(const HttpsServer& server, Clock::time_point until) {
  if (const auto address = as_address(server.host)) {
    Addresses found;
    found.emplace_back(*address, server.port);
    co_return found;
  }
  constexpr std::chrono::milliseconds look{5};
  const auto executor = co_await asio::this_coro::executor;
  const std::shared_ptr<Lookup> lookup = look_up(executor, server);
  asio::steady_timer timer(executor);
  while (!lookup->answered && Clock::now() < until) {
    timer.expires_after(look);
    co_await timer.async_wait(asio::use_awaitable);
  }
  const boost::system::error_code failed = lookup->answered ? lookup->failed : make_error_code(errc::timed_out);
  if (failed)
    throw Error(failed,
                {"find the address of", volcrypt::quoted(server.host), "Is its name right, and does DNS answer?"});
  co_return lookup->found;
}

}  // namespace

struct HttpsConnection::State {
  State(const asio::any_io_executor& executor, HttpsTrust shown, HttpsServer asked)
      : trust(std::move(shown)), server(std::move(asked)), stream(executor, trust.context()) {}

  // A server that refuses early may have answered before it read everything: what it says is worth more than EPIPE.
  asio::awaitable<beast::error_code> send(HttpsRequest request);
  [[noreturn]] void fail(const beast::error_code& unread, const beast::error_code& unsent = {}) const {
    if (is_verdict_on_us(unread))
      throw Error(errc::peer_refused, {"get an answer from", to_text(server),
                                       "It does not accept the certificate that was shown: " + unread.message() + "."});
    throw Error(cause_of(unsent ? unsent : unread), {"get an answer from", to_text(server), look_first});
  }

  HttpsTrust trust;
  HttpsServer server;
  TlsStream stream;
  beast::flat_buffer buffer{largest_head};
  wire::response_parser<wire::string_body> parser;
  std::size_t line_bytes = 0;
};

HttpsTrust::HttpsTrust(const HttpsFiles& files) : context_(std::make_shared<ssl::context>(ssl::context::tls_client)) {
  SSL_CTX* context = context_->native_handle();
  ERR_clear_error();
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  take(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_load_verify_file(context, files.authority.c_str()) == 1,
       files.authority, "a list of authorities' certificates in PEM");
  if (!files.certificate.empty()) show(context, files);
}

HttpsConnection::HttpsConnection(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpsConnection::HttpsConnection(HttpsConnection&&) noexcept = default;
HttpsConnection& HttpsConnection::operator=(HttpsConnection&&) noexcept = default;
HttpsConnection::~HttpsConnection() = default;

asio::awaitable<HttpsConnection> HttpsConnection::open(HttpsTrust trust, HttpsServer server,
                                                       std::chrono::milliseconds limit) {
  const auto until = Clock::now() + limit;
  const auto executor = co_await asio::this_coro::executor;
  const Addresses addresses = co_await find(server, until);
  std::optional<Error> last;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    auto state = std::make_unique<State>(executor, trust, server);
    if (!expect(state->stream.native_handle(), server.host))
      throw Error(errc::invalid_argument,
                  {"connect to", volcrypt::quoted(server.host), "It is neither a name nor an address."});
    auto& socket = beast::get_lowest_layer(state->stream);
    socket.expires_after((until - Clock::now()) / static_cast<long>(addresses.size() - i));
    auto [failed] = co_await socket.async_connect(addresses[i], waiting);
    if (!failed) {
      boost::system::error_code ignored;  // a request that is sent a little later is a request
      socket.socket().set_option(Tcp::no_delay(true), ignored);
      auto [refused] = co_await state->stream.async_handshake(ssl::stream_base::client, waiting);
      failed = refused;
    }
    if (!failed) co_return HttpsConnection(std::move(state));
    last = refusal(state->stream.native_handle(), failed, server);
  }
  if (!last) throw Error(errc::timed_out, {"find the address of", volcrypt::quoted(server.host), "It has none."});
  throw Error(*last);
}

asio::awaitable<beast::error_code> HttpsConnection::State::send(HttpsRequest request) {
  auto message = render(request.method, request.target, std::move(request.body));
  message.set(wire::field::host, to_text(server));
  for (const auto& [name, value] : request.headers) message.set(name, value);
  auto [unsent, written] = co_await wire::async_write(stream, message, waiting);
  static_cast<void>(written);
  if (unsent == beast::error::timeout) fail(unsent);
  co_return unsent;
}

asio::awaitable<Response> HttpsConnection::ask(HttpsRequest request, std::chrono::milliseconds limit) {
  State& state = *state_;
  state.parser.body_limit(request.answer_bytes);
  beast::get_lowest_layer(state.stream).expires_after(limit);
  const beast::error_code unsent = co_await state.send(std::move(request));
  auto [failed, count] = co_await wire::async_read(state.stream, state.buffer, state.parser, waiting);
  static_cast<void>(count);
  if (failed) state.fail(failed, unsent);
  co_return response_of(state.parser.release());
}

// ---- line by line ----

asio::awaitable<Response> HttpsConnection::ask_for_lines(HttpsRequest request, std::chrono::milliseconds limit) {
  State& state = *state_;
  state.line_bytes = request.answer_bytes;
  state.parser.body_limit(request.answer_bytes);  // until it is known that there are lines, and no length announced
  beast::get_lowest_layer(state.stream).expires_after(limit);
  const beast::error_code unsent = co_await state.send(std::move(request));
  auto [failed, count] = co_await wire::async_read_header(state.stream, state.buffer, state.parser, waiting);
  static_cast<void>(count);
  if (failed) state.fail(failed, unsent);
  Response head;
  head.status = state.parser.get().result_int();
  head.content_type = std::string(state.parser.get()[wire::field::content_type]);
  state.parser.body_limit(boost::none);  // of the whole; each line has its limit
  if (head.status == 200) co_return head;
  constexpr std::size_t most_of_a_refusal = 64 * 1024;
  state.parser.body_limit(most_of_a_refusal);
  auto [unread, rest] = co_await wire::async_read(state.stream, state.buffer, state.parser, waiting);
  static_cast<void>(rest);
  if (unread) state.fail(unread);
  co_return response_of(state.parser.release());
}

asio::awaitable<std::string> HttpsConnection::next_line(std::chrono::milliseconds limit) {
  State& state = *state_;
  beast::get_lowest_layer(state.stream).expires_after(limit);
  std::string& body = state.parser.get().body();
  for (;;) {
    const std::size_t end = body.find('\n');
    if (end != std::string::npos) {
      std::string line = body.substr(0, end);
      body.erase(0, end + 1);
      co_return line;
    }
    if (body.size() > state.line_bytes) state.fail(wire::error::body_limit);
    if (state.parser.is_done()) state.fail(asio::error::eof);
    auto [failed, count] = co_await wire::async_read_some(state.stream, state.buffer, state.parser, waiting);
    static_cast<void>(count);
    if (failed) state.fail(failed);
  }
}

}  // namespace volcrypt::http
