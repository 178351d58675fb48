// AbsentStore: what stands in for a store that could not be opened: every call throws the reason. With it the agent
// still attaches what it knows from its local copies, and says in every answer what is wrong. Loop thread.
#pragma once

#include "agent/cluster/store.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt {

namespace asio = boost::asio;

class AbsentStore final : public cluster::Store {
 public:
  explicit AbsentStore(Error reason) : reason_(std::move(reason)) {}

  asio::awaitable<std::optional<cluster::Entry>> get(std::string) override { throw Error(reason_); }
  asio::awaitable<std::vector<cluster::Entry>> list(std::string) override { throw Error(reason_); }
  asio::awaitable<boost::system::result<cluster::Revision>> commit(cluster::Transaction) override {
    throw Error(reason_);
  }
  asio::awaitable<cluster::Revision> changed(std::string, cluster::Revision) override { throw Error(reason_); }
  asio::awaitable<boost::system::result<cluster::Lease>> acquire(std::string, std::string,
                                                                 std::chrono::seconds) override {
    throw Error(reason_);
  }
  asio::awaitable<void> renew(const cluster::Lease&) override { throw Error(reason_); }
  asio::awaitable<void> release(cluster::Lease) override { throw Error(reason_); }

 private:
  Error reason_;
};

}  // namespace volcrypt
