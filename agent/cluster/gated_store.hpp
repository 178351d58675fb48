// GatedStore: a Store before another one, whose changes can be held up while its content is moved. Reads and watches
// pass always. Coroutines on the loop.
#pragma once

#include <memory>

#include "agent/cluster/store.hpp"

namespace volcrypt::cluster {

class GatedStore final : public Store {
 public:
  explicit GatedStore(std::unique_ptr<Store> behind) : behind_(std::move(behind)) {}

  // From now on commit, acquire, renew and release throw Error(errc::wrong_state); returns when those that were under
  // way have ended. Throws errc::timed_out, and lets changes pass again, when they do not end.
  asio::awaitable<void> hold_changes();
  void let_changes_pass() noexcept { held_ = false; }
  Store& behind() noexcept { return *behind_; }  // for whoever holds the changes up

  asio::awaitable<std::optional<Entry>> get(std::string key) override { return behind_->get(std::move(key)); }
  asio::awaitable<std::vector<Entry>> list(std::string prefix) override { return behind_->list(std::move(prefix)); }
  asio::awaitable<boost::system::result<Revision>> commit(Transaction transaction) override;
  asio::awaitable<Revision> changed(std::string prefix, Revision seen) override {
    return behind_->changed(std::move(prefix), seen);
  }
  asio::awaitable<boost::system::result<Lease>> acquire(std::string name, std::string holder,
                                                        std::chrono::seconds ttl) override;
  asio::awaitable<void> renew(const Lease& lease) override;
  asio::awaitable<void> release(Lease lease) override;

 private:
  struct Passage;

  std::unique_ptr<Store> behind_;
  bool held_ = false;
  std::shared_ptr<std::size_t> under_way_ = std::make_shared<std::size_t>(0);  // outlives the last of them
};

}  // namespace volcrypt::cluster
