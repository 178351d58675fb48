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
#include "agent/volumes/snapshot.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::volumes {

namespace asio = boost::asio;

// What is left in the store of volumes that had a name, beside any that has it now.
struct PastOfName {
  bool erased = false;     // one was deleted by command
  bool forgotten = false;  // the drive of one was given up by command, and has not been taken in again
};

struct EncryptionView {
  cluster::EncryptionState state;
  cluster::Revision revision = 0;
};

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

  asio::awaitable<PastOfName> past_of(std::string name);  // from the store alone

  // Each is one transaction. errc::conflict when somebody else changed what it stands on, or when the volume became
  // another node's than the record says: what a node writes late takes no volume back.
  asio::awaitable<void> begin(Intent intent, cluster::Revision encryption);  // name and intent must both be free
  asio::awaitable<void> begin_erase(cluster::VolumeRecord record, std::string drive);  // see Intent
  asio::awaitable<void> abandon(cluster::VolumeRecord record);  // nothing, where the intent is not that one any more
  // Ends the intent, if there is one. `replaces`: an unreadable record of that name, which goes.
  asio::awaitable<void> created(cluster::VolumeRecord record, Bytes header, const Unreadable* replaces = nullptr);
  asio::awaitable<void> changed(cluster::VolumeRecord record, Bytes header);  // after a header write
  asio::awaitable<void> moved(cluster::VolumeRecord record);                  // hint and size alone are new
  // An older wrap is about to be put back: the record of its generation, under the encryption state that allows it.
  asio::awaitable<void> goes_back(cluster::VolumeRecord record, cluster::Revision encryption);
  asio::awaitable<void> erased(cluster::VolumeRecord record);  // record and backup go, a tombstone stays
  // All goes but a mark, until `created`. `members`: of another node's volume, by this membership document.
  asio::awaitable<void> forgotten(cluster::VolumeRecord record,
                                  std::optional<cluster::Revision> members = std::nullopt);
  // Of an unreadable record the volume is unknown: its header backup stays, and no mark is left.
  asio::awaitable<void> forgotten(Unreadable entry);
  // Record and intent, as far as there are any, are `to`'s from now on, no longer record.owner's.
  asio::awaitable<void> taken_over(cluster::VolumeRecord record, Uuid to, cluster::Revision members);
  asio::awaitable<std::optional<Bytes>> header_backup(Uuid volume);

 private:
  struct Standing {
    std::optional<cluster::VolumeRecord> record;
    std::optional<Intent> intent;
    std::vector<cluster::Compare> unchanged;  // both as they were read
  };
  // What stands under the volume's name; errc::conflict unless all of it is that volume's and its owner's.
  asio::awaitable<Standing> standing(cluster::VolumeRecord record);
  asio::awaitable<cluster::Compare> standing_intent(cluster::VolumeRecord record, std::optional<Intent>& into);
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
