// Catalogue: which volumes there are, in the cluster's store, and this node's last-known copy of it in a file, so that
// attach works while the store does not. Intents make create and erase survive a crash: they are recorded before the
// drive is touched and taken back in the transaction that records the result. Coroutines on the loop.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/cluster/state.hpp"
#include "agent/cluster/store.hpp"
#include "agent/runtime/worker.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::volumes {

namespace asio = boost::asio;

enum class Freshness { current, last_known };  // last_known: the store did not answer

enum class Intention { create, erase };

// A drive is about to be formatted or erased. One per volume name; key "intent/NAME".
struct Intent {
  Intention verb = Intention::create;
  cluster::VolumeRecord record;
  std::string drive{};  // of an erase: DriveFacts::identity of the drive on which it began; may be empty
};

// An entry of the store that cannot be read: damaged, or of a newer release. It hides itself alone; which generation
// its volume needs is unknown, so it may be any.
struct Unreadable {
  std::string key;  // "volume/NAME", "intent/NAME", "erased/UUID", "forgotten/UUID"
  std::string cause;
  cluster::Revision modified = 0;

  std::string name() const;  // of the volume; empty for a mark
};

// What a verb on that volume ends with: errc::store_damaged, with the ways out.
Error refusal(const Unreadable& entry);

struct Snapshot {
  std::vector<cluster::VolumeRecord> volumes;
  std::vector<Intent> intents;
  std::set<Uuid> erased;     // tombstones: volumes that were deleted by command
  std::set<Uuid> forgotten;  // volumes whose drives were given up by command
  std::vector<Unreadable> unreadable;
  Freshness freshness = Freshness::current;

  const Unreadable* unreadable_named(std::string_view name) const;
  bool may_need_any_generation() const;  // a record or an intent cannot be read
  const cluster::VolumeRecord* named(std::string_view name) const;
  const cluster::VolumeRecord* of(const Uuid& volume) const;
  const Intent* intent_named(std::string_view name) const;
};

struct EncryptionView {
  cluster::EncryptionState state;
  cluster::Revision revision = 0;
};

// One line per entry and a checksum at the end; throws Error(errc::store_damaged) for anything else.
std::string to_local_copy(const Snapshot& snapshot);
Snapshot parse_local_copy(std::string_view text);
std::string to_json(const Intent& intent);
Intent parse_intent(std::string_view json);

class Catalogue {
 public:
  // `files` is a worker for small files; `local_copy` the path of the last-known copy.
  Catalogue(cluster::Store& store, runtime::Worker& files, std::filesystem::path local_copy);

  // From the store; when it fails, from the last-known copy. Throws the store's error when there is no copy either.
  // Entries that cannot be read are left out, and told in the journal.
  asio::awaitable<Snapshot> look();
  asio::awaitable<EncryptionView> encryption();  // from the store alone
  // The cluster's record of a KEK, from the store alone. errc::wrong_generation when it is not the current one and was
  // retired, errc::store_damaged when it ought to be there.
  asio::awaitable<keys::KekRecord> kek_record(cluster::Generation generation);
  asio::awaitable<std::optional<cluster::VolumeRecord>> record(std::string name);  // from the store alone
  asio::awaitable<std::optional<Intent>> intent(std::string name);                 // from the store alone

  // Each is one transaction. errc::conflict when somebody else changed what it stands on.
  asio::awaitable<void> begin(Intent intent, cluster::Revision encryption);  // name and intent must both be free
  asio::awaitable<void> begin_erase(cluster::VolumeRecord record, std::string drive);  // see Intent
  asio::awaitable<void> abandon(std::string name);
  // Ends the intent, if there is one. `replaces`: an unreadable record of that name, which goes.
  asio::awaitable<void> created(cluster::VolumeRecord record, Bytes header, const Unreadable* replaces = nullptr);
  asio::awaitable<void> changed(cluster::VolumeRecord record, Bytes header);  // after a header write
  asio::awaitable<void> moved(cluster::VolumeRecord record);                  // hint and size alone are new
  // An older wrap is about to be put back: the record of its generation, under the encryption state that allows it.
  asio::awaitable<void> goes_back(cluster::VolumeRecord record, cluster::Revision encryption);
  asio::awaitable<void> erased(cluster::VolumeRecord record);     // record and backup go, a tombstone stays
  asio::awaitable<void> forgotten(cluster::VolumeRecord record);  // all goes but a mark, until `created`
  // Of an unreadable record the volume is unknown: its header backup stays, and no mark is left.
  asio::awaitable<void> forgotten(Unreadable entry);
  asio::awaitable<std::optional<Bytes>> header_backup(Uuid volume);

 private:
  void tell(const std::vector<Unreadable>& unreadable);
  asio::awaitable<void> commit(std::string what, std::string object, cluster::Transaction transaction);
  asio::awaitable<Snapshot> look_in_store();
  asio::awaitable<void> keep_copy(Snapshot snapshot);

  cluster::Store& store_;
  runtime::Worker& files_;
  std::filesystem::path local_copy_;
  std::string kept_;                         // what the file holds, so that an unchanged catalogue is not written again
  std::map<std::string, std::string> told_;  // unreadable entries that the journal has, and their cause
};

}  // namespace volcrypt::volumes
