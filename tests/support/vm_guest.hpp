// Commands inside of a machine, through qemu-guest-agent on a virtio-serial port: no network, no login, exit codes and
// both outputs kept apart. One thread; one command at a time, but a command may leave processes running (systemd-run,
// &).
#pragma once

#include <string>
#include <string_view>

#include "tests/support/vm_channel.hpp"

namespace volcrypt::test {

struct Outcome {
  int exit_code = 0;  // 128 + signal when killed, as a shell says
  std::string out;
  std::string err;
};

struct Command {
  std::string line;   // for /bin/bash -c
  std::string input;  // its standard input
  std::chrono::seconds deadline{120};
};

class Guest {
 public:
  // Waits until the agent in the machine answers. Throws TimedOut.
  Guest(const std::filesystem::path& socket, Deadline deadline);

  // Throws TimedOut past the command's deadline (the command goes on in the machine).
  Outcome run(const Command& command);
  // Sends a command to whose answer nobody listens: powering off ends the agent.
  void send_only(std::string_view line);

 private:
  void synchronise(Deadline deadline);
  boost::json::value call(std::string_view name, boost::json::object arguments, Deadline deadline);

  JsonChannel channel_;
  std::int64_t next_id_ = 1;
};

}  // namespace volcrypt::test
