// Duties: what a member does for the cluster when another asks it on port 4007. The stored state decides, not the
// asker: nothing is rewrapped or destroyed here that the cluster's rotation does not say. Coroutines on the loop; all
// parts outlive it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "agent/cluster/member.hpp"
#include "agent/peer/member_messages.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::peer {

namespace asio = boost::asio;

class Duties {
 public:
  // The encryption state as it is stored now; throws when the store does not answer.
  using States = std::function<asio::awaitable<cluster::EncryptionState>()>;

  // `patience`: how long an answer about a rewrap waits for its end.
  Duties(cluster::Member& self, States states, std::chrono::milliseconds patience = std::chrono::seconds(20))
      : self_(self), states_(std::move(states)), patience_(patience) {}

  cluster::Member& self() noexcept { return self_; }
  // Begins it, or joins the one under way; what an earlier one has failed at is tried again. errc::wrong_state unless
  // the cluster rewraps to this generation now.
  asio::awaitable<RewrapAnswer> rewrap(Generation to);
  asio::awaitable<RewrapAnswer> progress();
  // As Member::retire_kek; errc::wrong_state unless the cluster's census let this generation go.
  asio::awaitable<void> retire(Generation generation);

 private:
  struct Job {
    Generation to = 0;
    bool ended = false;
    cluster::RewrapProgress progress;
    std::optional<Error> failure;
  };
  asio::awaitable<void> run(std::shared_ptr<Job> job);

  cluster::Member& self_;
  States states_;
  std::chrono::milliseconds patience_;
  std::shared_ptr<Job> job_;  // the rewrap under way, or null
};

}  // namespace volcrypt::peer
