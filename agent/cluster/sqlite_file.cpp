// SqliteDatabase's file: made whole, opened, checked before the first write, and closed after an error that leaves it
// in doubt. Sources: sqlite.org/c3ref, sqlite.org/wal.html, sqlite.org/pragma.html. Schema version 1:
//   entries(key, value, modified)  store(revision), one row  leases(name, holder, fence, expires_ms, ttl_ms)
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "agent/cluster/sqlite_statement.hpp"
#include "dmtarget/error.hpp"

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

constexpr const char* copy_journal = "PRAGMA wal_checkpoint(TRUNCATE)";

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
  execute(copy_journal);
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
  execute("PRAGMA secure_delete = ON");  // an erased volume's header backup leaves the file, see forget_erased()
  execute("PRAGMA temp_store = MEMORY");
  if (after_error_) {
    // After a failed fsync the kernel may hold as clean what the disk never got. Copying the journal into the database
    // writes it again, and its fsync is a new one.
    execute(copy_journal);
    after_error_ = false;
  }
  sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  has_erased_ = true;  // so may a process have done that was killed before it copied its journal
  forget_erased();
  if (!database_) fail(SQLITE_IOERR, "open");
}

// An erased value is still in the journal, and under it in the file, until the journal is copied into the file and cut.
// What was committed holds whether that succeeds or not; it stays owed until it does.
void SqliteDatabase::forget_erased() {
  if (!has_erased_) return;
  try {
    execute(copy_journal);
    has_erased_ = false;
  } catch (const Error&) {
    // A full disk: the next commit tries again. Anything else has closed the file, and its next opening does.
  }
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

}  // namespace volcrypt::cluster
