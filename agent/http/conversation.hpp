// The conversation of a server with one client, over any Beast stream: reads requests within their limits, asks the
// application, answers. Included by the listeners only (server.cpp, tls_server.cpp), because Beast is slow to compile.
// Loop thread.
#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <sstream>

#include "agent/http/application.hpp"
#include "agent/http/wire.hpp"

namespace volcrypt::http {

inline constexpr std::chrono::milliseconds lingering{2000};  // for a client that still sends what was refused

inline wire::response<wire::string_body> render(Response response, bool keep_alive) {
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
inline std::optional<std::pair<unsigned, std::string>> refusal_of(const beast::error_code& failed) {
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

// Clients that share limits and one budget of bodies: all of a socket, all members, all strangers.
struct Audience {
  Limits limits;
  const Application& application;
  std::size_t bodies = 0;  // bytes that the requests being read or handled announced
  bool stopping = false;
};

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
  beast::get_lowest_layer(stream).socket().shutdown(asio::socket_base::shutdown_send, ignored);
  for (bool more = true; more;) {
    auto [over, count] = co_await stream.async_read_some(asio::buffer(dropped), waiting);
    more = !over && count > 0;
  }
}

// One HTTP conversation on any Beast stream.
template <class Stream>
asio::awaitable<void> converse(Stream& stream, Peer peer, Audience& audience) {
  const Limits& limits = audience.limits;
  const Application& application = audience.application;
  beast::flat_buffer buffer(limits.header_bytes + 4096);
  while (!audience.stopping) {
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
    if (audience.bodies + announced > limits.all_bodies) {
      Response busy = application.refuse(503, "too many large requests at the same time");
      busy.retry_after = 1;
      co_await answer_and_leave(stream, std::move(busy), limits.write);
      co_return;
    }
    const Claim claim(audience.bodies, announced);
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

// Tells a client that there is no room, without a conversation and without waiting for it.
template <class Socket>
void turn_away(Socket socket, const Application& application) {
  Response busy = application.refuse(503, "too many connections at the same time");
  busy.retry_after = 1;
  const auto message = render(std::move(busy), false);
  std::ostringstream text;
  text << message;
  boost::system::error_code ignored;  // a client that does not even take this much is not waited for
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(text.str()), ignored);
}

}  // namespace volcrypt::http
