// VolumeService: construction, views, header backup and restore, settling. The other verbs: create, attach, erase,
// rewrap.
#include "agent/volumes/volume_service.hpp"

#include <algorithm>

#include "agent/volumes/service_state.hpp"

namespace volcrypt::volumes {

VolumeService::VolumeService(LocalNode node, cluster::Store& store, keys::NodeKeys& keys,
                             runtime::Worker& device_worker, std::shared_ptr<Devices> devices)
    : state_(std::make_unique<State>(std::move(node), store, keys, device_worker, std::move(devices))) {}

VolumeService::~VolumeService() = default;

void VolumeService::known_as(const Uuid& node) { state_->node.node = node; }
void VolumeService::joined(const Uuid& cluster) { state_->node.cluster = cluster; }
bool VolumeService::member_of_cluster() const { return !state_->node.cluster.is_nil(); }

void VolumeService::when_caught_up(std::function<void()> call) { state_->caught_up = std::move(call); }

asio::awaitable<std::vector<VolumeView>> VolumeService::list() { return state_->views(); }
asio::awaitable<VolumeView> VolumeService::get(std::string name) { return state_->view(std::move(name)); }

asio::awaitable<bool> VolumeService::settled(std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  asio::steady_timer pause(co_await asio::this_coro::executor);
  for (;;) {
    const std::vector<VolumeView> all = co_await state_->views();
    const bool done = std::all_of(all.begin(), all.end(), [&](const VolumeView& view) {
      return view.record.owner != state_->node.node || view.condition == Condition::attached ||
             view.condition == Condition::failed || state_->detached_by_order.contains(view.record.name);
    });
    if (done) co_return true;
    if (std::chrono::steady_clock::now() >= end) co_return false;
    pause.expires_after(std::chrono::milliseconds(250));
    co_await pause.async_wait(asio::use_awaitable);
  }
}

std::map<std::pair<Condition, Generation>, std::size_t> VolumeService::counts() const { return state_->counts; }

Work VolumeService::work() const {
  Work work = state_->tally;
  work.key_batches = state_->unlocking.batches();
  return work;
}

asio::awaitable<Bytes> VolumeService::header_backup(std::string name) {
  const cluster::VolumeRecord record = co_await state_->record_named(name);
  const Locks::Held turn = co_await state_->locks.lock(name);
  std::optional<Candidate> drive = co_await state_->drive_of(record);
  if (drive) {
    const Sighting seen =
        co_await state_->look(drive->device);  // only a header that agrees with itself is worth keeping
    const auto do_backup_header = [device = seen.device](Devices& d) { return d.backup_header(device); };
    co_return co_await state_->on_device("back up the header of " + seen.device, State::look_deadline,
                                         do_backup_header);
  }
  const std::optional<Bytes> kept = co_await state_->catalogue.header_backup(record.volume);
  if (!kept)
    throw Error(errc::device_unreadable,
                {"back up the header of volume", name, "Its drive is not here and no backup is kept."});
  co_return *kept;
}

asio::awaitable<Outcome> VolumeService::header_restore(std::string name, std::string device,
                                                       std::optional<Bytes> backup) {
  State& state = *state_;
  const cluster::VolumeRecord record = co_await state.record_named(name);
  const Locks::Held turn = co_await state.locks.lock(name);
  Outcome outcome;
  std::optional<Sighting> good;
  try {
    good = co_await state.look(device);
  } catch (const Error&) {
    // That is what a restore is for. What may be overwritten, dmtarget decides.
  }
  if (good && good->token.volume == record.volume && good->token.generation == record.generation) {
    outcome.volume = co_await state.view(name);  // a good header of the right generation: nothing to put back
    co_return outcome;
  }
  if (!backup) {
    backup = co_await state.catalogue.header_backup(record.volume);
    if (!backup)
      throw Error(errc::no_such_volume, {"find a header backup of volume", name, "Give a backup file with --file."});
  }
  const auto bytes = std::make_shared<const Bytes>(std::move(*backup));
  const auto do_restore_header = [device, bytes, volume = record.volume](Devices& d) {
    d.restore_header(device, *bytes, volume);
  };
  co_await state.on_device("restore the header of " + device, State::format_deadline, do_restore_header);
  const Sighting restored = co_await state.look(device);
  const Secret key = co_await state.unlock(restored.token);  // a backup of a retired generation is found out now
  state.note_success(name);
  if (restored.token.generation != record.generation) {
    cluster::VolumeRecord changed = record;
    changed.generation = restored.token.generation;
    co_await state.catalogue.changed(changed, *bytes);
  }
  outcome.changed = dm::Changed::yes;
  outcome.volume = co_await state.view(name);
  co_return outcome;
}

}  // namespace volcrypt::volumes
