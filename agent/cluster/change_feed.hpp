// ChangeFeed: the watch of a store that lives in this process. Publishing is for any thread; waiting for the loop. It
// remembers what changed since the store was opened, in bounded memory: a wait that asks about an older time returns at
// once, which a watch may always do.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/cluster/store.hpp"

namespace volcrypt::cluster {

class ChangeFeed {
 public:
  explicit ChangeFeed(Revision opened_at) : latest_(opened_at), horizon_(opened_at) {}

  void publish(Revision revision, const std::vector<std::string>& keys);
  // A change failed with an error, and may be there all the same: until catch_up, nobody knows what changed.
  void doubt();
  bool in_doubt() const;
  // The store is at `now`: whoever waits since before looks again.
  void catch_up(Revision now);
  // Returns the latest revision once a key under `prefix` has changed after `seen`. Ends by cancellation otherwise.
  static asio::awaitable<Revision> wait(std::shared_ptr<ChangeFeed> feed, std::string prefix, Revision seen);

 private:
  struct Waiter;

  bool changed(const std::string& prefix, Revision seen) const;  // mutex held

  void wake();  // mutex held

  mutable std::mutex mutex_;
  bool in_doubt_ = false;
  Revision latest_;
  Revision horizon_;                         // changes up to here are not in changes_ any more
  std::map<std::string, Revision> changes_;  // last change of each key, deletions too
  std::list<Waiter*> waiters_;
};

}  // namespace volcrypt::cluster
