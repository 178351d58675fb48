// Header repair, backup and restore. A drive is written to only behind the proof of its header: its DEK unwrapped, and
// the digest agrees. A backup is proved to be of this volume, and to open with keys that stay, before anything
// is written: a header under a retired generation in place of one that opens would be the end of the volume.
#include "agent/keys/dek_wrap.hpp"
#include "agent/runtime/log.hpp"
#include "agent/volumes/service_state.hpp"
#include "dmtarget/header_copies.hpp"

namespace volcrypt::volumes {

namespace {

// Only for the look at the backup; that it fits the drive is checked by dmtarget before it writes.
constexpr std::uint64_t any_size = std::uint64_t{1} << 40;

struct Backup {
  Bytes bytes;
  dm::LuksHeader header;
};

std::shared_ptr<const Backup> open_backup(Bytes bytes) {
  if (bytes.size() != dm::header_area_size)
    throw Error(errc::invalid_argument, {"read", "the backup",
                                         "It has " + std::to_string(bytes.size()) + " bytes, a header backup has " +
                                             std::to_string(dm::header_area_size) + ". Nothing was changed."});
  dm::LuksHeader header = dm::LuksHeader::from_bytes(bytes, any_size, "the backup");
  header.check_description();
  return std::make_shared<const Backup>(Backup{std::move(bytes), std::move(header)});
}

// Which generations may stand on a drive is the store's to say: one that is being retired may still be held here.
// `state`: without the store, made of what this node holds; nothing is retired then.
void check_backup(const dm::Token& token, const cluster::VolumeRecord& record, const Uuid& cluster,
                  const cluster::EncryptionState& state) {
  const auto refuse = [&](errc cause, std::string reason) {
    throw Error(cause, {"restore the header of volume", record.name, reason + " Nothing was changed."});
  };
  const std::string newest = "Use a newer backup: without --input the newest one is taken, which the agent keeps.";
  if (token.cluster != cluster)
    refuse(errc::wrong_cluster, "The backup is of a volume of volcrypt cluster " + token.cluster.str() +
                                    ". Restore it on a node of that cluster, or give another file.");
  if (token.volume != record.volume)
    refuse(errc::invalid_argument, "The backup is of another volume, " + token.name + " (" + token.volume.str() +
                                       "). Give the file of this one, or no --input.");
  const std::string generation = "The backup's key is wrapped by KEK generation " + std::to_string(token.generation);
  if (token.generation > state.current)
    refuse(errc::wrong_generation, generation + ", which this cluster does not have (yet). " + newest);
  if (token.generation != state.current && !state.previous.contains(token.generation))
    refuse(errc::wrong_generation, generation + ", which was retired: nothing here opens it any more. " + newest);
}

// A header says nothing of the device's size: on a smaller one the volume would open and end too early.
void check_size(const HeaderArea& drive, const cluster::VolumeRecord& record, const dm::Token& backup) {
  const std::uint64_t least = std::max(record.bytes, backup.description.data_offset + 1);
  if (drive.bytes >= least) return;
  throw Error(errc::invalid_argument,
              {"restore the header of volume", record.name,
               drive.device + " has " + std::to_string(drive.bytes) + " bytes, the volume's drive has " +
                   std::to_string(record.bytes) +
                   ". It is another drive, or its path is ill. Nothing was changed: name the right one."});
}

// A header that needs no restore.
struct Standing {
  Sighting drive;
  std::shared_ptr<const Secret> key;
};

// That is: this volume's, of the recorded generation, and it opens. One that only looks good may be forged. Null
// otherwise; what may be overwritten then, dmtarget decides.
asio::awaitable<std::shared_ptr<const Standing>> good_header(VolumeService::State& state, cluster::VolumeRecord record,
                                                             std::string device) {
  try {
    Standing found;
    found.drive = co_await state.look(device);
    const dm::Token& token = found.drive.token;
    if (token.cluster != state.node.cluster || token.volume != record.volume || token.generation != record.generation)
      co_return nullptr;
    found.key = std::make_shared<const Secret>(co_await state.unlock(token));
    const auto do_verify_key = [found](Devices& d) { d.verify_key(found.drive.device, *found.key); };
    co_await state.on_device(device, "verify the key of " + device, VolumeService::State::look_deadline, do_verify_key);
    co_return std::make_shared<const Standing>(std::move(found));
  } catch (const Error&) {
    co_return nullptr;  // that is what a restore is for
  }
}

}  // namespace

asio::awaitable<dm::Changed> VolumeService::State::repair(Sighting drive, std::shared_ptr<const Secret> key) {
  if (drive.copies == dm::HeaderFacts::Copies::both_good) co_return dm::Changed::no;
  dm::Changed changed = dm::Changed::no;
  std::optional<Error> failure;
  try {
    if (!key) key = std::make_shared<const Secret>(co_await unlock(drive.token));
    const auto do_repair = [drive, key](Devices& d) { return d.repair_header(drive.device, drive.token, *key); };
    changed = co_await on_device(drive.device, "repair the header of " + drive.device, map_deadline, do_repair);
    unrepaired.erase(drive.device);
  } catch (const Error& error) {
    failure = error;
  }
  if (changed == dm::Changed::yes)
    runtime::log(runtime::Severity::warning,
                 "one of the two header copies was damaged: repaired from the other, look at the drive's health, "
                 "ignoring",
                 {{"volume", drive.token.name}, {"device", drive.device}});
  if (failure && unrepaired.insert(drive.device).second)
    runtime::log(runtime::Severity::warning,
                 "one of the two header copies is damaged and cannot be repaired, copy the data off this drive, "
                 "ignoring",
                 {{"volume", drive.token.name}, {"device", drive.device}, {"cause", failure->what()}});
  co_return changed;
}

asio::awaitable<Bytes> VolumeService::header_backup(std::string name) {
  const cluster::VolumeRecord record = co_await state_->record_named(name);
  const Locks::Held turn = co_await state_->locks.lock(name);
  std::optional<Candidate> drive = co_await state_->drive_of(record);
  if (drive) {
    const Sighting seen =
        co_await state_->look(drive->device);  // only a header that agrees with itself is worth keeping
    const auto do_backup_header = [device = seen.device](Devices& d) { return d.backup_header(device); };
    co_return co_await state_->on_device(seen.device, "back up the header of " + seen.device, State::look_deadline,
                                         do_backup_header);
  }
  const std::optional<Bytes> kept = co_await state_->catalogue.header_backup(record.volume);
  if (!kept)
    throw Error(errc::device_unreadable,
                {"back up the header of volume", name, "Its drive is not here and no backup is kept."});
  co_return *kept;
}

asio::awaitable<Outcome> VolumeService::header_restore(std::string name, std::string device,
                                                       std::optional<Bytes> given) {
  State& state = *state_;
  const cluster::VolumeRecord record = co_await state.record_named(name);
  const Locks::Held turn = co_await state.locks.lock(name);
  Outcome outcome;
  const std::shared_ptr<const Standing> standing_header = co_await good_header(state, record, device);
  if (standing_header && !given) {
    outcome.changed = co_await state.repair(standing_header->drive, standing_header->key);
    outcome.volume = co_await state.view(name);
    co_return outcome;
  }
  if (!given) {
    given = co_await state.catalogue.header_backup(record.volume);
    if (!given)
      throw Error(errc::no_such_volume, {"find a header backup of volume", name, "Give a backup file with --input."});
  }
  const auto do_open = [bytes = std::move(*given)](Devices&) mutable { return open_backup(std::move(bytes)); };
  const std::shared_ptr<const Backup> backup =
      co_await state.on_device("the backup", "read the backup", State::look_deadline, do_open);
  const dm::Token token = backup->header.token();
  std::optional<EncryptionView> encryption;
  try {
    encryption = co_await state.catalogue.encryption();
  } catch (const Error&) {
    // A drive must be repairable without the store, as it is attachable.
  }
  cluster::EncryptionState standing;
  if (encryption) {
    standing = encryption->state;
  } else {
    standing.previous = co_await state.held();
    standing.current = standing.previous.empty() ? 0 : *standing.previous.rbegin();
  }
  check_backup(token, record, state.node.cluster, standing);
  if (standing_header) {  // only now: a file that is not of this volume must not seem to be in order
    outcome.changed = co_await state.repair(standing_header->drive, standing_header->key);
    outcome.volume = co_await state.view(name);
    co_return outcome;
  }
  const HeaderArea area = co_await state.header_area(device);
  check_size(area, record, token);
  const auto key = std::make_shared<const Secret>(co_await state.unlock(token));
  const auto do_verify = [backup, key](Devices&) { backup->header.verify_volume_key(*key); };
  co_await state.on_device("the backup", "verify the key of the backup", State::look_deadline, do_verify);

  // The record first, and against the state that was read: from then on a census counts the older generation. A header
  // that is newer than its record is found, and put right, by the next attach or rewrap.
  if (encryption && token.generation < record.generation) {
    cluster::VolumeRecord older = record;
    older.generation = token.generation;
    co_await state.catalogue.goes_back(older, encryption->revision);
  }
  const auto do_restore_header = [device, backup, volume = record.volume](Devices& d) {
    d.restore_header(device, backup->bytes, volume);
  };
  co_await state.on_device(device, "restore the header of " + device, State::format_deadline, do_restore_header);
  const Sighting restored = co_await state.look(device);
  state.note_success(name);
  Snapshot known = co_await state.catalogue.look();
  co_await state.catch_up(restored, std::move(known), Order::automatic);  // an older wrap is replaced at once
  outcome.changed = dm::Changed::yes;
  outcome.volume = co_await state.view(name);
  co_return outcome;
}

}  // namespace volcrypt::volumes
