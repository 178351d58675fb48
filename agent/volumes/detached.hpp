// DetachedByOrder: volumes that an operator detached; nothing but an order or a plug attaches them again until the
// machine restarts. Kept in a file of the runtime directory (/run), so that an agent that is restarted or upgraded
// knows them still, and a reboot forgets them. Loop thread; the file through the files worker.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <filesystem>
#include <set>
#include <string_view>

#include "agent/runtime/worker.hpp"
#include "dmtarget/uuid.hpp"

namespace volcrypt::volumes {

namespace asio = boost::asio;

class DetachedByOrder {
 public:
  // `file` need not exist; its directory must.
  DetachedByOrder(runtime::Worker& files, std::filesystem::path file);

  bool contains(const Uuid& volume) const { return volumes_.contains(volume); }
  // None of these throws for the file's sake: a file that cannot be read counts as none, one that cannot be written
  // lasts as long as this process. Each is told in the journal.
  asio::awaitable<void> load();
  asio::awaitable<void> add(Uuid volume);
  asio::awaitable<void> remove(Uuid volume);

 private:
  asio::awaitable<void> keep();

  runtime::Worker& files_;
  std::filesystem::path file_;
  std::set<Uuid> volumes_;
};

// The UUID of one volume a line. Throws Error(errc::invalid_argument) for a line that is none. Pure.
std::set<Uuid> parse_detached(std::string_view text);

}  // namespace volcrypt::volumes
