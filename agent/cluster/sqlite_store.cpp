// The embedded store behind the loop, see sqlite_store.hpp. The thread that committed publishes the change, so that a
// commit whose awaiter is gone still wakes the watchers.
#include "agent/cluster/sqlite_store.hpp"

#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

namespace {

// A commit that overran its deadline may still succeed.
[[noreturn]] void throw_unknown(const Error& error) {
  if (error.code() != errc::timed_out) throw error;
  throw Error(errc::unknown_outcome, {"commit to the store", "", "It took too long. Look before you repeat."});
}

void settle_doubt(SqliteDatabase& database, ChangeFeed& feed) {
  if (feed.in_doubt()) feed.catch_up(database.revision());
}

// A write that ends with an error may have reached the file: those who wait for a change must not wait for ever.
template <class Write>
auto write_in(SqliteDatabase& database, ChangeFeed& feed, Write write) {
  try {
    settle_doubt(database, feed);
    return write();
  } catch (const Error&) {
    feed.doubt();
    try {
      settle_doubt(database, feed);
    } catch (const Error&) {
      // It cannot be read either; the next call settles it.
    }
    throw;
  }
}

}  // namespace

SqliteStore::SqliteStore(Options options)
    : database_(std::make_shared<SqliteDatabase>(std::move(options.file), std::move(options.now))),
      feed_(std::make_shared<ChangeFeed>(database_->revision())),
      deadline_(options.deadline),
      worker_("store", 1) {}

asio::awaitable<std::optional<Entry>> SqliteStore::get(std::string key) {
  auto call = [database = database_, feed = feed_, key = std::move(key)] {
    settle_doubt(*database, *feed);
    return database->get(key);
  };
  co_return co_await worker_.run("read the store", deadline_, std::move(call));
}

asio::awaitable<std::vector<Entry>> SqliteStore::list(std::string prefix) {
  auto call = [database = database_, feed = feed_, prefix = std::move(prefix)] {
    settle_doubt(*database, *feed);
    return database->list(prefix);
  };
  co_return co_await worker_.run("read the store", deadline_, std::move(call));
}

asio::awaitable<boost::system::result<Revision>> SqliteStore::commit(Transaction transaction) {
  auto call = [database = database_, feed = feed_,
               transaction = std::move(transaction)]() -> boost::system::result<Revision> {
    return write_in(*database, *feed, [&]() -> boost::system::result<Revision> {
      const auto committed = database->commit(transaction);
      if (!committed) return committed.error();
      feed->publish(committed->revision, committed->changed);
      return committed->revision;
    });
  };
  try {
    co_return co_await worker_.run("commit to the store", deadline_, std::move(call));
  } catch (const Error& error) {
    throw_unknown(error);
  }
}

asio::awaitable<Revision> SqliteStore::changed(std::string prefix, Revision seen) {
  co_return co_await ChangeFeed::wait(feed_, std::move(prefix), seen);
}

asio::awaitable<boost::system::result<Lease>> SqliteStore::acquire(std::string name, std::string holder,
                                                                   std::chrono::seconds ttl) {
  auto call = [database = database_, feed = feed_, name = std::move(name), holder = std::move(holder), ttl] {
    return write_in(*database, *feed, [&] {
      auto lease = database->acquire(name, holder, ttl);
      if (lease) feed->publish(lease->fence.modified, {lease->fence.key});
      return lease;
    });
  };
  co_return co_await worker_.run("take a lease from the store", deadline_, std::move(call));
}

asio::awaitable<void> SqliteStore::renew(const Lease& lease) {
  auto call = [database = database_, lease] { database->renew(lease); };
  co_await worker_.run("renew a lease of the store", deadline_, std::move(call));
}

asio::awaitable<void> SqliteStore::release(Lease lease) {
  auto call = [database = database_, lease = std::move(lease)] { database->release(lease); };
  co_await worker_.run("give back a lease of the store", deadline_, std::move(call));
}

}  // namespace volcrypt::cluster
