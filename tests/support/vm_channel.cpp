// The only place of the harness that knows Asio.
#include "tests/support/vm_channel.hpp"

#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <optional>
#include <string>

namespace asio = boost::asio;
namespace json = boost::json;

namespace volcrypt::test {

struct JsonChannel::State {
  asio::io_context loop;
  asio::local::stream_protocol::socket socket{loop};
  std::string received;
};

JsonChannel::JsonChannel(const std::filesystem::path& socket, Deadline deadline) : state_(std::make_unique<State>()) {
  for (;;) {
    boost::system::error_code error;
    state_->socket.connect(asio::local::stream_protocol::endpoint(socket.string()), error);
    if (!error) return;
    state_->socket.close();
    if (std::chrono::steady_clock::now() > deadline)
      throw TimedOut("cannot connect to " + socket.string() + ": " + error.message());
    ::usleep(20'000);
  }
}

JsonChannel::JsonChannel(JsonChannel&&) noexcept = default;
JsonChannel::~JsonChannel() = default;

void JsonChannel::send(const json::object& message) {
  asio::write(state_->socket, asio::buffer(json::serialize(message) + "\n"));
}

json::object JsonChannel::receive(Deadline deadline) {
  std::optional<boost::system::error_code> outcome;
  std::size_t length = 0;
  asio::async_read_until(state_->socket, asio::dynamic_buffer(state_->received), '\n',
                         [&](boost::system::error_code error, std::size_t bytes) {
                           outcome = error;
                           length = bytes;
                         });
  state_->loop.restart();
  state_->loop.run_until(deadline);
  if (!outcome) {
    state_->socket.cancel();
    state_->loop.restart();
    state_->loop.run();
    if (*outcome == asio::error::operation_aborted) throw TimedOut("no answer in time");
  }
  if (*outcome) throw std::runtime_error("the machine's socket: " + outcome->message());
  std::string line = state_->received.substr(0, length);
  state_->received.erase(0, length);
  // The guest agent starts its answer to guest-sync-delimited with a byte that is no JSON: what stands before is of an
  // older talk.
  if (const auto mark = line.rfind('\xff'); mark != std::string::npos) line.erase(0, mark + 1);
  return json::parse(line).as_object();
}

}  // namespace volcrypt::test
