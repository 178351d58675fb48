// JSON objects, one a line, over a unix socket with deadlines: the wire of QEMU's monitor and of the guest agent.
// Blocking; one thread. The protocols on top are in vm_monitor and vm_guest.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string_view>

namespace volcrypt::test {

struct TimedOut : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Deadline = std::chrono::steady_clock::time_point;
inline Deadline after(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

class JsonChannel {
 public:
  // Retries until the socket answers. Throws TimedOut.
  JsonChannel(const std::filesystem::path& socket, Deadline deadline);
  JsonChannel(JsonChannel&&) noexcept;
  JsonChannel& operator=(JsonChannel&&) = delete;
  ~JsonChannel();

  void send(const boost::json::object& message);
  // Throws TimedOut, or std::runtime_error when the other side has gone. What arrived of a line is kept for the next
  // call.
  boost::json::object receive(Deadline deadline);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace volcrypt::test
