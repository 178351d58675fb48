// The embedded store on SQLite's C API, see sqlite_database.hpp. Sources: sqlite.org/c3ref, sqlite.org/wal.html,
// sqlite.org/pragma.html. Schema version 1:
//   entries(key, value, modified)  store(revision), one row  leases(name, holder, fence, expires_ms, ttl_ms)
#include "agent/cluster/sqlite_database.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "agent/cluster/keys_of_store.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::cluster {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t application_id = 0x766f6c63;  // "volc"
constexpr std::int64_t schema_version = 1;

constexpr const char* schema = R"(
  CREATE TABLE entries (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL, modified INTEGER NOT NULL);
  CREATE TABLE store (only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1), revision INTEGER NOT NULL);
  CREATE TABLE leases (name TEXT NOT NULL PRIMARY KEY, holder TEXT NOT NULL, fence INTEGER NOT NULL,
                       expires_ms INTEGER NOT NULL, ttl_ms INTEGER NOT NULL);
  INSERT INTO store VALUES (1, 0);
)";

fs::path beside(const fs::path& file, const char* suffix) { return fs::path(file.string() + suffix); }

[[noreturn]] void fail_with_errno(const char* operation, const fs::path& file, int number) {
  throw Error(errno_code(number), {operation, file.string(), ""});
}

void sync_directory_of(const fs::path& file) {
  const auto directory = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const Fd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0) fail_with_errno("make durable the directory", directory, errno);
}

}  // namespace

void SqliteDatabase::Close::operator()(sqlite3* database) const noexcept { sqlite3_close_v2(database); }

// One prepared statement; values are bound by position.
class SqliteDatabase::Statement {
 public:
  Statement(SqliteDatabase& owner, const char* sql) : owner_(owner), sql_(sql) {
    sqlite3_stmt* statement = nullptr;
    const int result = sqlite3_prepare_v2(owner.database_.get(), sql, -1, &statement, nullptr);
    statement_.reset(statement);
    if (result != SQLITE_OK) owner.fail(result, "use");
  }

  Statement& bind(std::int64_t number) {
    sqlite3_bind_int64(statement_.get(), ++bound_, number);
    return *this;
  }
  Statement& bind(const std::string& text) {
    sqlite3_bind_text64(statement_.get(), ++bound_, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
    return *this;
  }
  Statement& bind_blob(const std::string& bytes) {
    const char* data = bytes.empty() ? "" : bytes.data();
    sqlite3_bind_blob64(statement_.get(), ++bound_, data, bytes.size(), SQLITE_STATIC);
    return *this;
  }

  bool step() {  // false at the end
    const int result = sqlite3_step(statement_.get());
    if (result == SQLITE_ROW) return true;
    if (result != SQLITE_DONE) owner_.fail(result, sql_.starts_with("SELECT") ? "read" : "write to");
    return false;
  }

  std::int64_t number(int column) { return sqlite3_column_int64(statement_.get(), column); }
  std::string text(int column) {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
    return data == nullptr ? std::string() : std::string(data, size);
  }
  Entry entry() { return {text(0), text(1), static_cast<Revision>(number(2))}; }

 private:
  SqliteDatabase& owner_;
  std::string_view sql_;
  std::unique_ptr<sqlite3_stmt, FreeWith<&sqlite3_finalize>> statement_;
  int bound_ = 0;
};

// One write transaction: taken back unless commit() has returned.
class SqliteDatabase::Write {
 public:
  explicit Write(SqliteDatabase& owner) : owner_(owner) {
    owner.execute("BEGIN IMMEDIATE");
    Statement select(owner, "SELECT revision FROM store");
    if (!select.step()) owner.fail(SQLITE_CORRUPT, "read");
    revision_ = static_cast<Revision>(select.number(0)) + 1;
  }
  ~Write() {
    // An error may have closed the file, or SQLite may have rolled back by itself.
    if (open_ && owner_.database_) sqlite3_exec(owner_.database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  }

  Revision revision() const { return revision_; }
  const std::vector<std::string>& changed() const { return changed_; }

  void put(const std::string& key, const std::string& value) {
    Statement(owner_,
              "INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, modified = "
              "excluded.modified")
        .bind(key)
        .bind_blob(value)
        .bind(static_cast<std::int64_t>(revision_))
        .step();
    changed_.push_back(key);
  }
  void erase(const std::string& key) {
    Statement(owner_, "DELETE FROM entries WHERE key = ?").bind(key).step();
    changed_.push_back(key);
  }

  void commit() {
    Statement(owner_, "UPDATE store SET revision = ?").bind(static_cast<std::int64_t>(revision_)).step();
    const int result = sqlite3_exec(owner_.database_.get(), "COMMIT", nullptr, nullptr, nullptr);
    if (result != SQLITE_OK) owner_.fail(result, "commit to");
    open_ = false;
  }

 private:
  SqliteDatabase& owner_;
  bool open_ = true;
  Revision revision_ = 0;
  std::vector<std::string> changed_;
};

SqliteDatabase::SqliteDatabase(fs::path file, Now now) : file_(std::move(file)), now_(std::move(now)) {
  const std::lock_guard lock(mutex_);
  struct stat facts {};
  const bool there = lstat(file_.c_str(), &facts) == 0;
  if (!there && errno != ENOENT) fail_with_errno("examine the store", file_, errno);
  if (!there) create_file();
  ensure_open();
}

SqliteDatabase::~SqliteDatabase() = default;

// Made whole under another name first: a file that is empty or half-made can then never be taken for a new store.
void SqliteDatabase::create_file() {
  if (fs::exists(beside(file_, "-wal"))) {
    throw Error(errc::store_damaged,
                {"open the store", file_.string(),
                 "The file is gone while its journal (-wal) is there; restore both from a backup."});
  }
  const auto fresh = beside(file_, ".new");
  for (const char* suffix : {"", "-wal", "-journal"}) fs::remove(beside(fresh, suffix));
  const Fd fd(open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) fail_with_errno("create the store", fresh, errno);
  sqlite3* database = nullptr;
  const int result = sqlite3_open_v2(fresh.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, nullptr);
  database_.reset(database);
  if (result != SQLITE_OK) fail(result, "create");
  execute("PRAGMA locking_mode = EXCLUSIVE");
  execute("PRAGMA journal_mode = WAL");
  execute("PRAGMA synchronous = FULL");
  execute("BEGIN");
  execute(schema);
  execute(("PRAGMA application_id = " + std::to_string(application_id)).c_str());
  execute(("PRAGMA user_version = " + std::to_string(schema_version)).c_str());
  execute("COMMIT");
  execute("PRAGMA wal_checkpoint(TRUNCATE)");
  database_.reset();
  if (fsync(fd.get()) != 0) fail_with_errno("make durable the store", fresh, errno);
  if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, file_.c_str(), RENAME_NOREPLACE) != 0) {
    fail_with_errno("put in place the store", file_, errno);
  }
  sync_directory_of(file_);
}

void SqliteDatabase::ensure_open() {
  if (database_) return;
  sqlite3* database = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE;
  const int result = sqlite3_open_v2(file_.c_str(), &database, flags, nullptr);
  database_.reset(database);
  if (result != SQLITE_OK) fail(result, "open");
  sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);  // a damaged file stays as it is
  sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  execute("PRAGMA locking_mode = EXCLUSIVE");  // one process, and no shared memory file
  execute("PRAGMA cell_size_check = ON");
  check_file();
  chmod(file_.c_str(), 0600);  // it holds no secret; this only tidies a restored copy
  execute("PRAGMA synchronous = FULL");
  execute("PRAGMA secure_delete = ON");  // an erased volume's header backup leaves the file, too
  execute("PRAGMA temp_store = MEMORY");
  if (after_error_) {
    // After a failed fsync the kernel may hold as clean what the disk never got. Copying the journal into the database
    // writes it again, and its fsync is a new one.
    execute("PRAGMA wal_checkpoint(TRUNCATE)");
    after_error_ = false;
  }
  sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
}

void SqliteDatabase::check_file() {
  if (text_of("PRAGMA application_id") != std::to_string(application_id)) fail(SQLITE_NOTADB, "open");
  const auto version = text_of("PRAGMA user_version");
  if (version != std::to_string(schema_version)) {
    database_.reset();
    throw Error(errc::token_version, {"open the store", file_.string() + " of format version " + version,
                                      "Use the volcrypt release that wrote it, or a newer one."});
  }
  if (text_of("PRAGMA integrity_check(1)") != "ok") fail(SQLITE_CORRUPT, "open");
  if (text_of("PRAGMA journal_mode") != "wal") fail(SQLITE_CORRUPT, "open");
  if (text_of("SELECT count(*) FROM store") != "1") fail(SQLITE_CORRUPT, "open");
}

void SqliteDatabase::execute(const char* sql) {
  const int result = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) fail(result, "use");
}

std::string SqliteDatabase::text_of(const char* sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.text(0) : std::string();
}

// Gives the failure its cause. What the file holds after it is looked at afresh by the next call.
void SqliteDatabase::fail(int result, const std::string& operation) {
  const int system_error = database_ ? sqlite3_system_errno(database_.get()) : 0;
  const std::string detail = database_ ? sqlite3_errmsg(database_.get()) : sqlite3_errstr(result);
  const ErrorContext context{operation + " the store", file_.string(), ""};
  const auto with = [&](std::string way_out) {
    return ErrorContext{context.operation, context.object, std::move(way_out)};
  };
  if (database_ && (result & 0xff) != SQLITE_FULL) {
    sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    database_.reset();
    after_error_ = true;
  }
  switch (result & 0xff) {
    case SQLITE_FULL:
      throw Error(errno_code(ENOSPC), with("Nothing was written. Make room on its file system and try again."));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      throw Error(errc::store_damaged, with("The file is left as it is (" + detail +
                                            "). Volumes attach without it; restore it from a backup."));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw Error(errc::device_busy, with("Another volcryptd has it open."));
    case SQLITE_READONLY:
      throw Error(errno_code(EROFS), context);
    case SQLITE_NOMEM:
      throw Error(errno_code(ENOMEM), context);
    default:
      break;
  }
  if (operation == "commit to") {
    throw Error(errc::unknown_outcome, with("An I/O error (" + detail + ") hid the outcome. Look before you repeat."));
  }
  throw Error(errno_code(system_error != 0 ? system_error : EIO), with("SQLite says: " + detail + "."));
}

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
