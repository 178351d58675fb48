// SqliteDatabase: the embedded store's file. Blocking; a lock of its own, because a call given up by its awaiter may
// end beside a newer one. WAL, synchronous=FULL, one process at a time, mode 0600. The only user of SQLite is its .cpp.
// A file that does not pass its checks is never written to. After an I/O error the file is closed and, at the next
// call, opened and checked afresh, so that what is answered then is what the file holds. A value that was erased is in
// neither the file nor its journal when commit() returns, or, where that failed, after the next one that succeeds.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/cluster/store.hpp"

struct sqlite3;

namespace volcrypt::cluster {

class SqliteDatabase {
 public:
  using Now = std::function<std::chrono::system_clock::time_point()>;

  // Opens `file`, or makes it when neither it nor its journal is there. Throws Error: errc::store_damaged (the file is
  // left as it is), errc::device_busy (another process has it), errc::token_version, or errno.
  SqliteDatabase(std::filesystem::path file, Now now);
  ~SqliteDatabase();

  Revision revision();
  std::optional<Entry> get(const std::string& key);
  std::vector<Entry> list(const std::string& prefix);

  struct Committed {
    Revision revision = 0;
    std::vector<std::string> changed;
  };
  boost::system::result<Committed> commit(const Transaction& transaction);
  boost::system::result<Lease> acquire(const std::string& name, const std::string& holder, std::chrono::seconds ttl);
  void renew(const Lease& lease);
  void release(const Lease& lease);

 private:
  class Statement;
  class Write;
  struct Close {
    void operator()(sqlite3* database) const noexcept;
  };

  boost::system::result<Committed> commit_locked(const Transaction& transaction);
  void ensure_open();
  void create_file();
  void check_file();
  void forget_erased();
  void expire_leases(Write& write);
  void execute(const char* sql);
  std::string text_of(const char* sql);
  [[noreturn]] void fail(int result, const std::string& operation);
  std::int64_t now_ms() const;

  const std::filesystem::path file_;
  const Now now_;
  std::mutex mutex_;
  std::unique_ptr<sqlite3, Close> database_;
  bool after_error_ = false;
  bool has_erased_ = false;
};

}  // namespace volcrypt::cluster
