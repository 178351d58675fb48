// EtcdStore: the engine of Store for many nodes, on an etcd (3.4 or newer) that others run. Every read is linearizable.
// A lease is an etcd lease that holds the key lease/NAME; what a Lease needs to be renewed is read from there, so any
// process can. Coroutines on the loop.
#pragma once

#include <chrono>

#include "agent/cluster/etcd_gateway.hpp"
#include "agent/cluster/store.hpp"

namespace volcrypt::cluster {

class EtcdStore final : public Store {
 public:
  struct Options {
    EtcdAddress address;
    std::chrono::milliseconds deadline{15'000};  // of each call, all members together
    std::chrono::milliseconds watch_span{
        60'000};  // after that a watch is begun anew: at another member, if this one is lost
    std::chrono::milliseconds first_pause{200}, longest_pause{15'000};  // of a watch while no member answers
  };

  // Blocks (reads the certificates); does not connect. Throws what HttpsTrust does.
  explicit EtcdStore(Options options);

  // Beside what store.hpp says: while etcd does not answer, calls throw what EtcdGateway does, and `changed` waits.
  asio::awaitable<std::optional<Entry>> get(std::string key) override;
  asio::awaitable<std::vector<Entry>> list(std::string prefix) override;
  asio::awaitable<boost::system::result<Revision>> commit(Transaction transaction) override;
  asio::awaitable<Revision> changed(std::string prefix, Revision seen) override;
  asio::awaitable<boost::system::result<Lease>> acquire(std::string name, std::string holder,
                                                        std::chrono::seconds ttl) override;
  asio::awaitable<void> renew(const Lease& lease) override;
  asio::awaitable<void> release(Lease lease) override;

 private:
  asio::awaitable<std::optional<std::vector<Entry>>> list_once(std::string prefix, std::uint64_t& page);
  asio::awaitable<std::optional<Revision>> watch(std::string prefix, Revision seen);
  asio::awaitable<Revision> now(std::string prefix);

  Options options_;
  EtcdGateway gateway_;
};

}  // namespace volcrypt::cluster
