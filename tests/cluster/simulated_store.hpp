// SimulatedStore: the cluster's store as one node sees it: over the network, so that an answer may never come. A change
// whose answer is lost throws errc::unknown_outcome, everything else errc::timed_out, as agent/cluster/etcd_store does.
#pragma once

#include "agent/cluster/store.hpp"
#include "tests/cluster/network.hpp"
#include "tests/support/memory_store.hpp"

namespace volcrypt::test {

class SimulatedStore final : public cluster::Store {
 public:
  SimulatedStore(Network& network, MemoryStore& memory, Network::End self, Network::End store)
      : network_(network), memory_(memory), self_(self), store_(store) {}

  cluster::asio::awaitable<std::optional<cluster::Entry>> get(std::string key) override;
  cluster::asio::awaitable<std::vector<cluster::Entry>> list(std::string prefix) override;
  cluster::asio::awaitable<boost::system::result<cluster::Revision>> commit(cluster::Transaction transaction) override;
  cluster::asio::awaitable<cluster::Revision> changed(std::string prefix, cluster::Revision seen) override;
  cluster::asio::awaitable<boost::system::result<cluster::Lease>> acquire(std::string name, std::string holder,
                                                                          std::chrono::seconds ttl) override;
  cluster::asio::awaitable<void> renew(const cluster::Lease& lease) override;
  cluster::asio::awaitable<void> release(cluster::Lease lease) override;

 private:
  template <class T>
  cluster::asio::awaitable<std::optional<T>> ask(std::function<cluster::asio::awaitable<T>()> question);

  Network& network_;
  MemoryStore& memory_;
  const Network::End self_, store_;
};

}  // namespace volcrypt::test
