// EtcdGateway: a request to etcd's JSON gateway, at whichever of its members answers. Knows which refusals mean that
// nothing happened, and never sends a change twice. Coroutines on the loop; a value's copies share what they learnt.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "agent/cluster/etcd_address.hpp"
#include "agent/http/https_client.hpp"

namespace volcrypt::cluster {

namespace asio = boost::asio;

class EtcdGateway {
 public:
  // Blocks (reads the files of `address`). Throws what HttpsTrust does.
  EtcdGateway(const EtcdAddress& address, std::chrono::milliseconds deadline);

  // `what` is a verb phrase for errors ("read the store"), `body` JSON. Both return the answer's body.
  // Something that may be done twice: asked of one member after the other, each with its share of the deadline. Throws
  // Error: errc::too_old for a revision that was compacted, errc::peer_refused or errc::limit_exceeded as etcd says,
  // otherwise the last member's cause, with all of them in the text.
  asio::awaitable<std::string> ask(std::string what, std::string target, std::string body);
  // Something that must happen at most once: sent to one member after the other only as long as it certainly did not
  // happen. Throws as ask() then, else errc::unknown_outcome.
  asio::awaitable<std::string> change(std::string what, std::string target, std::string body);
  // An answer that comes in lines, from the first member that gives one.
  asio::awaitable<http::HttpsConnection> listen(std::string what, std::string target, std::string body);
  void prefer_another();  // the member that was asked last was of no use

 private:
  struct State;
  class Attempts;
  asio::awaitable<http::HttpsConnection> reach(Attempts& attempts);

  std::shared_ptr<State> state_;
};

}  // namespace volcrypt::cluster
