// What the files of SqliteDatabase share: a prepared statement, and a write transaction. Under the database's lock.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cluster/sqlite_database.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::cluster {

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

}  // namespace volcrypt::cluster
