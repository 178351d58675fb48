// The server side of Beast: one of the two files that include it. The conversation is a template over the stream, so
// that the TLS stream of port 4007 can use it as it is; the listener here is a unix socket's.
#include "agent/http/server.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <sstream>
#include <unordered_set>

#include "agent/http/peer_of.hpp"
#include "agent/http/socket_file.hpp"
#include "agent/runtime/spawn.hpp"

namespace volcrypt::http {

namespace beast = boost::beast;
namespace wire = boost::beast::http;
using Local = asio::local::stream_protocol;
using LocalStream = beast::basic_stream<Local>;

namespace {

constexpr auto waiting = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds lingering{2000};  // for a client that still sends what was refused

std::optional<Method> method_of(wire::verb verb) noexcept {
  switch (verb) {
    case wire::verb::get:
      return Method::get;
    case wire::verb::post:
      return Method::post;
    case wire::verb::put:
      return Method::put;
    case wire::verb::delete_:
      return Method::del;
    default:
      return std::nullopt;
  }
}

wire::response<wire::string_body> render(Response response, bool keep_alive) {
  wire::response<wire::string_body> message{static_cast<wire::status>(response.status), 11};
  message.set(wire::field::content_type, response.content_type);
  message.set(wire::field::cache_control, "no-store");
  if (!response.allow.empty()) message.set(wire::field::allow, response.allow);
  if (response.retry_after) message.set(wire::field::retry_after, std::to_string(response.retry_after));
  message.keep_alive(keep_alive);
  message.body() = std::move(response.body);
  message.prepare_payload();
  return message;
}

// What a request that could not be read is answered with; empty when the connection is simply over.
std::optional<std::pair<unsigned, std::string>> refusal_of(const beast::error_code& failed) {
  if (failed == wire::error::header_limit || failed == wire::error::buffer_overflow) {
    return std::pair{431u, std::string("the request's header is too long")};
  }
  if (failed == wire::error::body_limit) return std::pair{413u, std::string("the request's body is too long")};
  if (failed == wire::error::end_of_stream || failed == wire::error::partial_message) return std::nullopt;
  if (failed.category() == make_error_code(wire::error::bad_method).category()) {
    return std::pair{400u, "the request is not HTTP: " + failed.message()};
  }
  return std::nullopt;  // reset, deadline: nobody is there to read an answer
}

}  // namespace

struct Server::State : std::enable_shared_from_this<Server::State> {
  State(asio::any_io_executor where, const SocketFile& socket_file, Limits bounds, Application served)
      : executor(std::move(where)),
        acceptor(executor),
        limits(bounds),
        application(std::move(served)),
        file(listen_on(socket_file)) {
    acceptor.assign(Local(), file.release_listener());
  }

  asio::any_io_executor executor;
  Local::acceptor acceptor;
  Limits limits;
  Application application;
  ListeningFile file;
  std::unordered_set<LocalStream*> open;  // each is in the frame of its own connection()
  std::size_t bodies = 0;                 // bytes that the requests being read or handled announced
  bool stopping = false;

  asio::awaitable<void> accept_all();
  void turn_away(Local::socket socket);
};

namespace {

// Bytes of the common body budget, given back at the end of the scope.
class Claim {
 public:
  Claim(std::size_t& total, std::size_t bytes) : total_(total), bytes_(bytes) { total_ += bytes_; }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  ~Claim() { total_ -= bytes_; }

 private:
  std::size_t& total_;
  std::size_t bytes_;
};

template <class Stream>
void set_deadline(Stream& stream, std::chrono::milliseconds limit) {
  beast::get_lowest_layer(stream).expires_after(limit);
}

// Writes the last answer, then reads and drops what the client still sends: closing at once would cut the answer off.
template <class Stream>
asio::awaitable<void> answer_and_leave(Stream& stream, Response response, std::chrono::milliseconds limit) {
  auto message = render(std::move(response), false);
  set_deadline(stream, limit);
  auto [failed, sent] = co_await wire::async_write(stream, message, waiting);
  static_cast<void>(sent);
  if (failed) co_return;
  set_deadline(stream, lingering);
  std::array<char, 4096> dropped{};
  boost::system::error_code ignored;  // the peer may be gone, which is what we wait for
  beast::get_lowest_layer(stream).socket().shutdown(Local::socket::shutdown_send, ignored);
  for (bool more = true; more;) {
    auto [over, count] = co_await stream.async_read_some(asio::buffer(dropped), waiting);
    more = !over && count > 0;
  }
}

// One HTTP conversation on any Beast stream. `state` has limits, application and the body budget.
template <class Stream, class State>
asio::awaitable<void> converse(Stream& stream, Peer peer, State& state) {
  const Limits& limits = state.limits;
  const Application& application = state.application;
  beast::flat_buffer buffer(limits.header_bytes + 4096);
  while (!state.stopping) {
    wire::request_parser<wire::string_body> parser;
    parser.header_limit(static_cast<std::uint32_t>(limits.header_bytes));
    parser.body_limit(limits.body_bytes);
    set_deadline(stream, limits.idle);
    auto [header_failed, header_size] = co_await wire::async_read_header(stream, buffer, parser, waiting);
    static_cast<void>(header_size);
    if (header_failed) {
      if (auto why = refusal_of(header_failed)) {
        co_await answer_and_leave(stream, application.refuse(why->first, std::move(why->second)), limits.write);
      }
      co_return;
    }
    if (auto refused = application.admit(peer)) {
      co_await answer_and_leave(stream, std::move(*refused), limits.write);
      co_return;
    }
    const auto method = method_of(parser.get().method());
    if (!method) {
      co_await answer_and_leave(stream, application.refuse(501, "the method is not known here"), limits.write);
      co_return;
    }
    if (parser.chunked()) {  // its size is not known before it came
      co_await answer_and_leave(stream, application.refuse(411, "the body's length is not announced"), limits.write);
      co_return;
    }
    const std::size_t announced = parser.content_length() ? static_cast<std::size_t>(*parser.content_length()) : 0;
    if (state.bodies + announced > limits.all_bodies) {
      Response busy = application.refuse(503, "too many large requests at the same time");
      busy.retry_after = 1;
      co_await answer_and_leave(stream, std::move(busy), limits.write);
      co_return;
    }
    const Claim claim(state.bodies, announced);
    if (beast::iequals(parser.get()[wire::field::expect], "100-continue")) {
      wire::response<wire::empty_body> go_on{wire::status::continue_, 11};
      set_deadline(stream, limits.write);
      auto [failed, sent] = co_await wire::async_write(stream, go_on, waiting);
      static_cast<void>(sent);
      if (failed) co_return;
    }
    set_deadline(stream, limits.body);
    auto [body_failed, body_size] = co_await wire::async_read(stream, buffer, parser, waiting);
    static_cast<void>(body_size);
    if (body_failed) {
      if (auto why = refusal_of(body_failed)) {
        co_await answer_and_leave(stream, application.refuse(why->first, std::move(why->second)), limits.write);
      }
      co_return;
    }
    beast::get_lowest_layer(stream).expires_never();
    auto message = parser.release();
    const bool keep_alive = message.keep_alive();
    Request request;
    request.method = *method;
    request.peer = peer;
    request.body = std::move(message.body());
    std::string target(message.target());
    Response response;
    try {
      response = co_await application.handle(std::move(request), std::move(target));
    } catch (...) {  // reported, and told to the client without its text
      application.failed(std::current_exception());
      response = application.refuse(500, "the request failed for a reason that the agent's log has");
    }
    auto answer = render(std::move(response), keep_alive);
    set_deadline(stream, limits.write);
    auto [write_failed, written] = co_await wire::async_write(stream, answer, waiting);
    static_cast<void>(written);
    if (write_failed || !keep_alive) co_return;
  }
}

template <class State>
asio::awaitable<void> connection(std::shared_ptr<State> state, Local::socket socket) {
  LocalStream stream(std::move(socket));
  struct Registered {
    State& state;
    LocalStream* stream;
    ~Registered() { state.open.erase(stream); }
  } registered{*state, &stream};
  state->open.insert(&stream);
  co_await converse(stream, peer_of(stream.socket().native_handle()), *state);
}

}  // namespace

void Server::State::turn_away(Local::socket socket) {
  Response busy = application.refuse(503, "too many connections at the same time");
  busy.retry_after = 1;
  const auto message = render(std::move(busy), false);
  std::ostringstream text;
  text << message;
  boost::system::error_code ignored;  // a client that does not even take this much is not waited for
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(text.str()), ignored);
}

asio::awaitable<void> Server::State::accept_all() {
  const auto self = shared_from_this();
  while (!stopping) {
    auto [failed, socket] = co_await acceptor.async_accept(waiting);
    if (stopping || failed == asio::error::operation_aborted) co_return;
    if (failed) {  // out of descriptors, or a client that left between: the next one may do better
      asio::steady_timer pause(executor, std::chrono::milliseconds(100));
      co_await pause.async_wait(waiting);
      continue;
    }
    if (open.size() >= limits.connections) {
      turn_away(std::move(socket));
      continue;
    }
    runtime::spawn(executor, "control connection", connection(self, std::move(socket)));
  }
}

Server::Server(asio::any_io_executor executor, const SocketFile& file, Limits limits, Application application)
    : state_(std::make_shared<State>(std::move(executor), file, limits, std::move(application))) {}

Server::~Server() { stop(); }

asio::awaitable<void> Server::run() { return state_->accept_all(); }

void Server::stop() {
  if (std::exchange(state_->stopping, true)) return;
  boost::system::error_code ignored;  // closing: nothing is left to be done about it
  state_->acceptor.close(ignored);
  for (auto* stream : state_->open) stream->close();
  state_->file.unlink();
}

std::size_t Server::connections() const noexcept { return state_->open.size(); }

}  // namespace volcrypt::http
