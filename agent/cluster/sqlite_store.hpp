// SqliteStore: the embedded engine of Store, for a cluster of one node. SqliteDatabase on a worker thread "store", and
// a watch inside this process. Coroutines on the loop.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>

#include "agent/cluster/change_feed.hpp"
#include "agent/cluster/sqlite_database.hpp"
#include "agent/cluster/store.hpp"
#include "agent/runtime/worker.hpp"

namespace volcrypt::cluster {

class SqliteStore final : public Store {
 public:
  struct Options {
    std::filesystem::path file;
    std::chrono::milliseconds deadline{30'000};  // of each call; a disk that syncs slower than that is broken
    SqliteDatabase::Now now = &std::chrono::system_clock::now;
  };

  // Blocks (opens, checks, or makes the file); throws what SqliteDatabase does. Call it before the loop runs.
  explicit SqliteStore(Options options);

  asio::awaitable<std::optional<Entry>> get(std::string key) override;
  asio::awaitable<std::vector<Entry>> list(std::string prefix) override;
  asio::awaitable<boost::system::result<Revision>> commit(Transaction transaction) override;
  asio::awaitable<Revision> changed(std::string prefix, Revision seen) override;
  asio::awaitable<boost::system::result<Lease>> acquire(std::string name, std::string holder,
                                                        std::chrono::seconds ttl) override;
  asio::awaitable<void> renew(const Lease& lease) override;
  asio::awaitable<void> release(Lease lease) override;

 private:
  std::shared_ptr<SqliteDatabase> database_;
  std::shared_ptr<ChangeFeed> feed_;
  std::chrono::milliseconds deadline_;
  runtime::Worker worker_;
};

}  // namespace volcrypt::cluster
