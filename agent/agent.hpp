// Agent: the daemon's parts put together on one loop: store, keys, cluster, volumes, the control socket; and what goes
// on by itself: attach at start, drives that go away, work that is tried again. Stopping it touches no mapping. Loop
// thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "agent/config.hpp"
#include "agent/volumes/devices.hpp"

namespace volcrypt {

namespace asio = boost::asio;

class Agent {
 public:
  // `devices`: the kernel's (volumes::DmDevices); a test gives plain files.
  // Opens the store and binds the control socket (blocks briefly). A store that cannot be opened is no reason not to
  // run: volumes attach without it. Throws Error when the state directory or the socket cannot be had.
  Agent(asio::io_context& loop, Config config, std::shared_ptr<volumes::Devices> devices);
  ~Agent();

  enum class Ended {
    stopped,
    restart  // the same program, configuration and process number are to begin anew: the store is another one now
  };
  Ended
  run();  // returns after stop(), or when it asks to be begun anew; throws nothing that one volume or request did wrong
  void stop();  // on the loop

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace volcrypt
