// The client side of Beast: the other of the two files that include it.
#include "agent/http/client.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "agent/http/socket_file.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;
using Local = asio::local::stream_protocol;

namespace {

constexpr std::size_t answer_limit = 16 * 1024 * 1024;  // bytes

wire::verb verb_of(Method method) noexcept {
  switch (method) {
    case Method::get:
      return wire::verb::get;
    case Method::post:
      return wire::verb::post;
    case Method::put:
      return wire::verb::put;
    case Method::del:
      return wire::verb::delete_;
  }
  return wire::verb::unknown;
}

}  // namespace

struct Client::State {
  State(const std::filesystem::path& socket, std::chrono::milliseconds deadline)
      : path(socket), stream(Local::socket(loop, Local(), connect_to(socket, deadline).release())) {}

  std::filesystem::path path;
  asio::io_context loop{1};
  beast::basic_stream<Local> stream;
  beast::flat_buffer buffer;
};

Client::Client(const std::filesystem::path& socket, std::chrono::milliseconds deadline)
    : state_(std::make_unique<State>(socket, deadline)) {}

Client::~Client() = default;

Response Client::request(Method method, const std::string& target, const std::string& body,
                         std::chrono::milliseconds deadline) {
  wire::request<wire::string_body> message{verb_of(method), target, 11};
  message.set(wire::field::host, "volcrypt");
  if (!body.empty()) message.set(wire::field::content_type, "application/json");
  message.body() = body;
  message.prepare_payload();

  wire::response_parser<wire::string_body> parser;
  parser.body_limit(answer_limit);
  beast::error_code write_failed, read_failed;
  auto& stream = state_->stream;
  stream.expires_after(deadline);
  wire::async_write(stream, message, [&](const beast::error_code& failed, std::size_t) {
    write_failed = failed;
    // A server that refuses early answers before it has read everything: its answer is worth more than EPIPE.
    if (failed == beast::error::timeout) return;
    wire::async_read(stream, state_->buffer, parser,
                     [&](const beast::error_code& read, std::size_t) { read_failed = read; });
  });
  state_->loop.restart();
  state_->loop.run();
  if (write_failed == beast::error::timeout || read_failed == beast::error::timeout) {
    throw Error(errc::timed_out,
                {"get an answer from", state_->path.native(), "Its effect is unknown: look before doing it again."});
  }
  if (read_failed) {
    throw Error(write_failed ? write_failed : read_failed,
                {"talk to", state_->path.native(), "Its effect is unknown: look before doing it again."});
  }
  auto answer = parser.release();
  Response response;
  response.status = answer.result_int();
  response.content_type = std::string(answer[wire::field::content_type]);
  response.body = std::move(answer.body());
  return response;
}

}  // namespace volcrypt::http
