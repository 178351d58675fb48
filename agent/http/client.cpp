// The client on a unix socket.
#include "agent/http/client.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "agent/http/socket_file.hpp"
#include "agent/http/wire.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::http {

using Local = asio::local::stream_protocol;

namespace {

constexpr std::size_t answer_limit = 16 * 1024 * 1024;  // bytes

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
  auto message = render(method, target, body);
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
  return response_of(parser.release());
}

}  // namespace volcrypt::http
