// The operator's verbs on this node's volumes, and what the loop does by itself: adopt at start, attach on plug,
// clean up on removal, rewrap on rotation. Owns the catalogue's local half. Coroutines on the loop; devices are touched
// through the device worker, keys through the Keyring. Errors are thrown as Error and name the rung that failed.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/cluster/member.hpp"
#include "agent/cluster/state.hpp"
#include "agent/cluster/store.hpp"
#include "agent/keys/node_keys.hpp"
#include "agent/runtime/worker.hpp"
#include "agent/volumes/attach_policy.hpp"
#include "agent/volumes/devices.hpp"
#include "agent/volumes/other_nodes.hpp"
#include "agent/volumes/retirement_gate.hpp"
#include "dmtarget/volume.hpp"

namespace volcrypt::volumes {

namespace asio = boost::asio;
using cluster::Generation;

// attached and detached are facts; unknown means that the question could not be answered and is never rounded.
enum class Condition { attached, detached, absent, failed, unknown };

struct VolumeView {
  cluster::VolumeRecord record;
  std::string owner_name;  // of record.owner; empty: no member that this node knows
  Condition condition = Condition::unknown;
  std::string device;        // path now, empty when absent
  std::string mapping;       // "/dev/mapper/NAME" when attached
  std::string failure;       // the last error's text, for failed
  std::string failure_kind;  // errc_name
  std::optional<dm::Description> description;
};

struct CreateRequest {
  std::string name;
  std::string device;
  dm::ExistingData existing = dm::ExistingData::refuse;
  dm::Discards discards = dm::Discards::refused;
};

struct Outcome {
  dm::Changed changed = dm::Changed::no;
  VolumeView volume;
};

// How a wait for this node's volumes ended; both members are of one look.
struct Settlement {
  bool settled = false;
  std::vector<VolumeView> missing;  // not attached: failed visibly, absent, detached or still on their way
};

struct Work {                              // done since the start, for metrics
  std::uint64_t unwraps = 0, rewraps = 0;  // DEKs
  std::uint64_t key_batches = 0;           // asked of the KekStore
};

// Where the local half lives and who we are; given by agent.cpp. `cluster` is nil before `cluster init`.
struct LocalNode {
  Uuid cluster, node;
  std::string state_directory;    // /var/lib/volcrypt
  std::string runtime_directory;  // /run/volcrypt: outlives the agent, not the machine's run
  // Above all deadlines of calls on devices; tests with drives that hang make it short.
  std::chrono::milliseconds longest_call = std::chrono::hours(1);
  // How long a volume of which this node said that it is gone is not attached here; half of it is the other's to act.
  std::chrono::milliseconds given_away = std::chrono::seconds(30);
};

class VolumeService {
 public:
  VolumeService(LocalNode node, cluster::Store& store, keys::NodeKeys& keys, runtime::Worker& device_worker,
                std::shared_ptr<Devices> devices);
  ~VolumeService();

  void known_as(const Uuid& node);
  void joined(const Uuid& cluster);  // `cluster init` happened, now or earlier
  bool member_of_cluster() const;
  // Called after a volume that had been away was rewrapped, or given up: perhaps a previous generation can go now.
  void when_caught_up(std::function<void()> call);
  // They must outlive this. Before, another node's volume is refused without a question.
  void ask_through(OtherNodes& others);

  asio::awaitable<std::vector<VolumeView>> list();
  asio::awaitable<VolumeView> get(std::string name);
  asio::awaitable<Outcome> create(CreateRequest request);
  // Another node's volume is taken over first, if its drive is here and the owner says that it is gone there; see
  // TakeOver. errc::wrong_state: it holds it, or is no member any more; errc::timed_out: it does not answer;
  // errc::conflict: a third node took it.
  asio::awaitable<Outcome> attach(std::string name, TakeOver take_over = TakeOver::if_gone);
  // The operator says which drive it is: the way out when two drives carry the same volume (errc::duplicate_volume).
  asio::awaitable<Outcome> attach_from(std::string name, std::string device, TakeOver take_over = TakeOver::if_gone);
  // The udev and boot path. A device that is not ours, or of another cluster, is left alone with an Error that says
  // why.
  asio::awaitable<Outcome> attach_device(std::string device);
  asio::awaitable<Outcome> detach(std::string name);
  // Crypto-erase: header, wrapped DEK in the catalogue and backups. Changed::no: the last volume of that name is erased
  // already. `confirmed`: errc::conflict when the name is another volume's by now.
  asio::awaitable<dm::Changed> erase(std::string name, std::optional<Uuid> confirmed = std::nullopt);
  // Its drive is gone for good: record and header backups go, the drive is not touched. errc::wrong_state while it is
  // here or attached. If it returns, it is attached by attach_from alone, as long as its generation is held.
  // Changed::no: a volume of that name was forgotten or erased before, and there is none now. Of another node's volume:
  // only when that node is no member any more.
  asio::awaitable<dm::Changed> forget(std::string name);
  // What another node is told that asks for a volume: from a fresh look at mappings and drives. Throws where it cannot
  // be had. After `gone` the volume is not attached here for a while (LocalNode::given_away), but by order.
  asio::awaitable<Holding> holds(Uuid volume);
  asio::awaitable<Bytes> header_backup(std::string name);
  // Refused before anything is written: a backup of another volume (errc::invalid_argument) or cluster, and one whose
  // generation is neither current nor previous (errc::wrong_generation).
  asio::awaitable<Outcome> header_restore(std::string name, std::string device, std::optional<Bytes> backup);

  // At start: adopt live mappings, heal leftovers, attach everything that is ours and present. Never throws for one
  // volume.
  asio::awaitable<void> start();
  // Tries again what is ours, present and not attached: after the TPM came back, a boot state was approved, a drive
  // returned.
  asio::awaitable<void> attach_missing();
  // Waits until every catalogued local volume is attached or has failed visibly, and the absent ones had their time
  // (settling.hpp), or until `limit` has passed.
  asio::awaitable<Settlement> settle(std::chrono::milliseconds limit, std::chrono::milliseconds grace = absent_grace);
  static constexpr std::chrono::seconds absent_grace{10};
  // A drive came or changed. What is not ours to attach is left alone, and the journal says why; ours is attached by
  // attach_device, as udev's rule orders.
  asio::awaitable<void> drive_appeared(DriveFacts drive);
  // Removes the mapping over it as soon as the kernel has no such device any more; looks for that as long as
  // `patience`.
  asio::awaitable<void> device_removed(std::string device, dev_t number,
                                       std::chrono::milliseconds patience = leaving_patience);
  // The kernel's own limits for a disk that does not answer: 30 s for a command, some retries.
  static constexpr std::chrono::minutes leaving_patience{5};

  // More drives came and went at once than udev could tell: dead mappings are removed, what is there is
  // attached, or told why not.
  asio::awaitable<void> news_were_missed();

  // Seams for the coordinator's LocalMember (agent/local_member).
  // Names the generations of volumes that were left behind absent, duplicate or failing; they keep their wrap.
  asio::awaitable<cluster::RewrapProgress> rewrap_all(Generation to);
  cluster::RewrapProgress rewrap_progress() const;
  // What this node's volumes need, those that are just being opened included.
  asio::awaitable<std::set<Generation>> census();
  // From now until the answer ends no volume is opened under `generation`: attaching waits. A census after it holds
  // until then. errc::wrong_state while the same is under way.
  RetirementGate::Closed close_to_attach(Generation generation);
  std::map<std::pair<Condition, Generation>, std::size_t> counts() const;  // for metrics, from the last look
  Work work() const;

  struct State;  // service_state.hpp

 private:
  std::unique_ptr<State> state_;
};

}  // namespace volcrypt::volumes
