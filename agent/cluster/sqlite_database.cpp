// What the embedded store reads and writes, see sqlite_database.hpp: entries and leases, each call one transaction. Its
// file is the matter of sqlite_file.cpp.
#include "agent/cluster/sqlite_database.hpp"

#include <algorithm>

#include "agent/cluster/keys_of_store.hpp"
#include "agent/cluster/sqlite_statement.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

namespace {

bool is_delete(const std::variant<Put, Delete>& operation) { return std::holds_alternative<Delete>(operation); }

}  // namespace

std::int64_t SqliteDatabase::now_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now_().time_since_epoch()).count();
}

Revision SqliteDatabase::revision() {
  const std::lock_guard lock(mutex_);
  ensure_open();
  return static_cast<Revision>(std::stoull(text_of("SELECT revision FROM store")));
}

std::optional<Entry> SqliteDatabase::get(const std::string& key) {
  const std::lock_guard lock(mutex_);
  ensure_open();
  Statement select(*this, "SELECT key, value, modified FROM entries WHERE key = ?");
  select.bind(key);
  if (!select.step()) return std::nullopt;
  return select.entry();
}

std::vector<Entry> SqliteDatabase::list(const std::string& prefix) {
  const std::lock_guard lock(mutex_);
  ensure_open();
  // Keys are ASCII (commit() sees to it), so 0x7f is above every character of a key.
  Statement select(*this, "SELECT key, value, modified FROM entries WHERE key >= ? AND key < ? ORDER BY key");
  const std::string end = prefix + "\x7f";
  select.bind(prefix).bind(end);
  std::vector<Entry> entries;
  while (select.step()) entries.push_back(select.entry());
  return entries;
}

// A lease lives until its time has passed. A clock that was set back cannot make it live longer than its time to live.
void SqliteDatabase::expire_leases(Write& write) {
  const auto now = now_ms();
  std::vector<std::string> ended;
  Statement select(*this, "SELECT name FROM leases WHERE expires_ms <= ? OR expires_ms > ? + ttl_ms");
  select.bind(now).bind(now);
  while (select.step()) ended.push_back(select.text(0));
  for (const auto& name : ended) {
    write.erase(store_key::lease(name));
    Statement(*this, "DELETE FROM leases WHERE name = ?").bind(name).step();
  }
}

boost::system::result<SqliteDatabase::Committed> SqliteDatabase::commit(const Transaction& transaction) {
  check_limits(transaction);
  const std::lock_guard lock(mutex_);
  ensure_open();
  boost::system::result<Committed> committed = commit_locked(transaction);
  if (committed) forget_erased();
  return committed;
}

boost::system::result<SqliteDatabase::Committed> SqliteDatabase::commit_locked(const Transaction& transaction) {
  Write write(*this);
  expire_leases(write);
  for (const auto& compare : transaction.when) {
    Statement select(*this, "SELECT modified FROM entries WHERE key = ?");
    select.bind(compare.key);
    const auto modified = select.step() ? static_cast<Revision>(select.number(0)) : 0;
    if (modified != compare.modified) return make_error_code(errc::conflict);
  }
  if (transaction.then.empty()) return Committed{write.revision() - 1, {}};
  for (const auto& operation : transaction.then) {
    if (const auto* put = std::get_if<Put>(&operation)) write.put(put->key, put->value);
    if (const auto* gone = std::get_if<Delete>(&operation)) write.erase(gone->key);
  }
  write.commit();
  has_erased_ = has_erased_ || std::any_of(transaction.then.begin(), transaction.then.end(), is_delete);
  return Committed{write.revision(), write.changed()};
}

boost::system::result<Lease> SqliteDatabase::acquire(const std::string& name, const std::string& holder,
                                                     std::chrono::seconds ttl) {
  const std::lock_guard lock(mutex_);
  ensure_open();
  Write write(*this);
  expire_leases(write);
  Statement select(*this, "SELECT holder FROM leases WHERE name = ?");
  select.bind(name);
  // The same holder has restarted: its earlier self is fenced out by the new revision.
  if (select.step() && select.text(0) != holder) return make_error_code(errc::conflict);
  const auto ttl_ms = std::chrono::milliseconds(ttl).count();
  write.put(store_key::lease(name), holder);
  Statement(*this, "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?)")
      .bind(name)
      .bind(holder)
      .bind(static_cast<std::int64_t>(write.revision()))
      .bind(now_ms() + ttl_ms)
      .bind(ttl_ms)
      .step();
  write.commit();
  return Lease{name, {store_key::lease(name), write.revision()}};
}

void SqliteDatabase::renew(const Lease& lease) {
  const std::lock_guard lock(mutex_);
  ensure_open();
  Write write(*this);
  expire_leases(write);
  Statement(*this, "UPDATE leases SET expires_ms = ? + ttl_ms WHERE name = ? AND fence = ?")
      .bind(now_ms())
      .bind(lease.name)
      .bind(static_cast<std::int64_t>(lease.fence.modified))
      .step();
  if (sqlite3_changes(database_.get()) != 1) {
    throw Error(errc::conflict, {"renew the lease", lease.name, "It has expired, and another node may hold it."});
  }
  write.commit();
}

void SqliteDatabase::release(const Lease& lease) {
  const std::lock_guard lock(mutex_);
  ensure_open();
  Write write(*this);
  Statement(*this, "DELETE FROM leases WHERE name = ? AND fence = ?")
      .bind(lease.name)
      .bind(static_cast<std::int64_t>(lease.fence.modified))
      .step();
  if (sqlite3_changes(database_.get()) != 1) return;  // lost before: nothing to give back
  write.erase(store_key::lease(lease.name));
  write.commit();
}

}  // namespace volcrypt::cluster
