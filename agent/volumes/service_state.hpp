// The inside of VolumeService, shared by the files that hold its verbs. Loop thread only; devices are touched through
// on_device(), keys through Unlocking. Every function here is a coroutine of the loop unless it says otherwise.
#pragma once

#include <algorithm>

#include "agent/volumes/attach_policy.hpp"
#include "agent/volumes/catalogue.hpp"
#include "agent/volumes/detached.hpp"
#include "agent/volumes/handover.hpp"
#include "agent/volumes/hanging.hpp"
#include "agent/volumes/locks.hpp"
#include "agent/volumes/retirement_gate.hpp"
#include "agent/volumes/shared_look.hpp"
#include "agent/volumes/unlocking.hpp"
#include "agent/volumes/volume_service.hpp"

namespace volcrypt::volumes {

struct Failure {
  std::string kind, text;
  bool operator==(const Failure&) const = default;
};

// How an attach was asked for.
struct AttachWish {
  Order order = Order::automatic;
  TakeOver take_over = TakeOver::if_gone;
};

// May the drive be attached, and by what knowledge?
struct Judged {
  Snapshot known;
  AttachQuestion question;
  Decision decision;
};

// A drive whose wrap is new on the drive but not yet in the catalogue. Holds the volume's lock.
struct Rewrapped;

struct VolumeService::State {
  // How long a device may take. A call that overruns is given up; its thread is replaced (runtime/worker).
  static constexpr std::chrono::seconds look_deadline{15};
  static constexpr std::chrono::seconds map_deadline{60};  // udev's cookie included, on a slow machine at boot
  static constexpr std::chrono::seconds format_deadline{180};
  static constexpr std::chrono::seconds erase_deadline{900};  // the discard of a large device

  State(LocalNode local, cluster::Store& shared, keys::NodeKeys& node_keys, runtime::Worker& device_worker,
        std::shared_ptr<Devices> seen);

  // One call on the devices, with a deadline, on `object`: a drive's node, a mapping's name, or udev. Throws
  // Error(errc::timed_out) at once while an earlier call on it hangs. The call owns what it captured: it may outlive
  // us.
  template <class Call>
  auto on_device(std::string object, std::string operation, std::chrono::milliseconds deadline, Call call)
      -> asio::awaitable<std::invoke_result_t<Call, Devices&>> {
    hanging.check(object, operation);
    Hanging::Mark mark;
    const Hanging::Ended ended = Hanging::end_of(mark);
    auto do_call = [target = devices, call = std::move(call), mark = std::move(mark)]() mutable {
      return call(*target);
    };
    try {
      co_return co_await worker.run(operation, std::min(deadline, node.longest_call), std::move(do_call));
    } catch (const Error& error) {
      if (error.code() == errc::timed_out) hanging.note(object, operation, ended);
      throw;
    }
  }

  asio::awaitable<Sighting> look(std::string device);
  asio::awaitable<std::vector<Candidate>> scan();
  asio::awaitable<std::vector<dm::Mapping>> mappings();
  asio::awaitable<std::set<Generation>> held();
  asio::awaitable<HeaderArea> header_area(std::string device);
  asio::awaitable<std::vector<Sighting>> sight(std::vector<Candidate> candidates);  // the readable ones
  // The drive that counts for this volume: the one under its mapping, else the only one there is. Empty: absent.
  // Throws errc::duplicate_volume when several are there and none is mapped.
  asio::awaitable<std::optional<Candidate>> drive_of(cluster::VolumeRecord record);

  asio::awaitable<Secret> unlock(dm::Token token);
  // For a new wrap: the KEK proved against the cluster's record by the very call that uses it. Needs the store.
  asio::awaitable<GroupKey> key_to_wrap(Generation generation, Uuid group);

  asio::awaitable<std::vector<VolumeView>> views();
  void tell_elsewhere(VolumeView& view, Freshness freshness);
  asio::awaitable<VolumeView> view(std::string name);
  asio::awaitable<cluster::VolumeRecord> record_named(std::string name);  // errc::no_such_volume

  // attach.cpp
  // `first` is the caller's look, whose volume it is to be; the drive is looked at again in the volume's turn.
  asio::awaitable<Outcome> attach_drive(Sighting first, AttachWish wish);
  asio::awaitable<dm::Changed> attach_sighting(Sighting drive, AttachWish wish);
  asio::awaitable<void> attach_quietly(std::string device);  // notes and logs the failure
  // A drive whose label is ours and whose header could not be read: fails visibly under the volume's name.
  asio::awaitable<void> attach_unread(Candidate drive, Snapshot known);
  asio::awaitable<void> attach_all();
  asio::awaitable<void> fetch_key(std::pair<Generation, Uuid> group, GroupKey& into);
  // Catalogue and wrap after an attach; never throws. By order an unreadable record is written anew from the drive.
  asio::awaitable<void> catch_up(Sighting drive, Snapshot known, Order order);

  // take_over.cpp
  // Asks the owner of record, and takes the volume over, if need be: never ask_owner or take_over.
  asio::awaitable<Judged> judge(Sighting drive, AttachWish wish);
  asio::awaitable<Judged> judge_now(Sighting drive, AttachWish wish);
  asio::awaitable<AttachQuestion::Owner> word_of_owner(const Judged& judged, MembersNow& members);
  asio::awaitable<void> take_over(const Judged& judged, cluster::Revision members,
                                  std::chrono::steady_clock::time_point until);
  asio::awaitable<Handover::Attaching> begin_attach(Uuid volume);
  std::string name_of_owner(const Uuid& owner) const;  // its UUID where it has no name

  // header.cpp
  // A damaged copy of the header from the good one, and told; where that fails, that is told, and no more. `key` is the
  // one that was unwrapped from drive.token; null: it is unwrapped here, if there is anything to do. For
  // dm::Changed::no there was not, or it failed.
  asio::awaitable<dm::Changed> repair(Sighting drive, std::shared_ptr<const Secret> key);

  // healing.cpp
  asio::awaitable<void> heal();
  asio::awaitable<void> heal_one(dm::Mapping seen);

  // drives.cpp
  asio::awaitable<void> report_present();
  asio::awaitable<void> report(DriveFacts drive);
  // Since when udev is quiet, counted from the end of the first scan; empty before.
  asio::awaitable<std::optional<std::chrono::steady_clock::duration>> quiet_for();

  // intents.cpp, erase.cpp
  asio::awaitable<void> settle_intents();
  // The volume's lock is the caller's. Throws while the question stays open: the drive is away or ill.
  asio::awaitable<void> settle_intent(std::string name);
  asio::awaitable<void> settle_create(Intent intent);
  asio::awaitable<void> settle_erase(Intent intent);

  // rewrap.cpp
  asio::awaitable<void> rewrap_group(std::vector<cluster::VolumeRecord> records, Generation to);
  asio::awaitable<bool> settle_cut_off(std::string name);
  asio::awaitable<void> begin_rewrap(cluster::VolumeRecord record, Generation to,
                                     std::vector<std::shared_ptr<Rewrapped>>& into);
  asio::awaitable<void> finish_rewrap(std::shared_ptr<Rewrapped> work);
  asio::awaitable<std::shared_ptr<Rewrapped>> change_wrap(cluster::VolumeRecord record, Sighting drive, Generation to);
  asio::awaitable<void> put_back(const Rewrapped& work);  // of a rewrap whose check failed; the caller keeps it
  asio::awaitable<void> verify_and_record(std::shared_ptr<Rewrapped> work);

  void note_failure(const std::string& name, const boost::system::system_error& error);
  void note_success(const std::string& name);

  LocalNode node;
  keys::NodeKeys& keys;
  runtime::Worker& worker;
  std::shared_ptr<Devices> devices;
  Hanging hanging;
  runtime::Worker files{"volume-files", 1};
  Catalogue catalogue;
  SharedLook<std::vector<Candidate>> scans;
  SharedLook<std::vector<dm::Mapping>> listings;
  Unlocking unlocking;
  Locks locks;
  RetirementGate retirement;
  OtherNodes* others = nullptr;
  Handover handover;
  struct Silence {
    std::chrono::steady_clock::time_point began;
    std::string cause;
  };
  std::map<Uuid, Silence> silences;  // of nodes that did not answer, the last one

  std::map<std::string, Failure> failures;  // by volume name, until the next success
  std::map<Uuid, Sighting> last_seen;       // by volume, for views: no device is read for a list
  DetachedByOrder detached_by_order;
  std::map<std::string, Failure> complaints;  // by device, as the journal has them
  std::set<std::string> unrepaired;           // devices with a damaged copy that the journal knows of
  std::set<Uuid> told_elsewhere;              // attached here and owned by another node, as the journal has it
  std::map<dev_t, DriveReport> reported;      // drives that are left alone, as the journal has it
  std::optional<std::chrono::steady_clock::time_point> quiet_since;
  cluster::RewrapProgress progress;
  Work tally;
  std::function<void()> caught_up = [] {};
  std::map<std::pair<Condition, Generation>, std::size_t> counts;
};

Error refusal(const Decision& decision, const Sighting& drive);

}  // namespace volcrypt::volumes
