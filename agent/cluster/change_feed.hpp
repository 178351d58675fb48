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
  // Returns the latest revision once a key under `prefix` has changed after `seen`. Ends by cancellation otherwise.
  static asio::awaitable<Revision> wait(std::shared_ptr<ChangeFeed> feed, std::string prefix, Revision seen);

 private:
  struct Waiter;

  bool changed(const std::string& prefix, Revision seen) const;  // mutex held

  std::mutex mutex_;
  Revision latest_;
  Revision horizon_;                         // changes up to here are not in changes_ any more
  std::map<std::string, Revision> changes_;  // last change of each key, deletions too
  std::list<Waiter*> waiters_;
};

}  // namespace volcrypt::cluster
