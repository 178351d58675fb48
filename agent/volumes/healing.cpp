// Healing: mappings that an agent left half-made or suspended when it died, and mappings whose drive went away. Live
// mappings are never touched.
#include <algorithm>

#include "agent/runtime/log.hpp"
#include "agent/volumes/parallel.hpp"
#include "agent/volumes/service_state.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::volumes {

using runtime::Severity;

namespace {

// udev tells of a removal while the kernel may still be taking the device down; a drive that fails slowly takes its
// time.
asio::awaitable<void> wait_until_gone(VolumeService::State& state, std::string device, dev_t number,
                                      std::chrono::milliseconds patience) {
  asio::steady_timer pause(co_await asio::this_coro::executor);
  std::chrono::milliseconds until_next(200);
  const auto end = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < end) {
    const auto do_look = [number](Devices& d) { return d.present(number); };
    const bool there =
        co_await state.on_device("/sys", "look for " + device, VolumeService::State::look_deadline, do_look);
    if (!there) co_return;
    pause.expires_after(until_next);
    co_await pause.async_wait(asio::use_awaitable);
    until_next = std::min(until_next * 2, std::chrono::milliseconds(5000));
  }
}

}  // namespace

// Leftovers of an agent that died half-way: a mapping without a table serves nobody, a suspended one blocks its users.
asio::awaitable<void> VolumeService::State::heal() {
  const Snapshot known = co_await catalogue.look();
  std::vector<dm::Mapping> ours = co_await mappings();
  std::erase_if(ours, [&](const dm::Mapping& mapping) {
    return std::none_of(known.volumes.begin(), known.volumes.end(), [&](const cluster::VolumeRecord& record) {
      return record.name == mapping.name && dm::is_mapping_of(mapping.uuid, record.volume);
    });
  });
  co_await for_each_of(ours, [&](dm::Mapping& mapping) { return heal_one(mapping); });
}

asio::awaitable<void> VolumeService::State::heal_one(dm::Mapping seen) {
  const Locks::Held turn = co_await locks.lock(seen.name);
  try {
    // It may have been replaced while we waited: what stands there now is judged.
    const std::vector<dm::Mapping> live = co_await mappings();
    const auto found = std::find_if(live.begin(), live.end(), [&](const dm::Mapping& other) {
      return other.name == seen.name && other.uuid == seen.uuid;
    });
    if (found == live.end()) co_return;
    const dm::Mapping mapping = *found;
    bool gone = !mapping.under.empty();
    for (const dev_t number : mapping.under) {
      const auto do_look = [number](Devices& d) { return d.present(number); };
      if (co_await on_device("/sys", "look for the drive of " + mapping.name, look_deadline, do_look)) gone = false;
    }
    if (gone) {
      const auto do_remove_dead = [name = mapping.name](Devices& d) { return d.remove_dead(name); };
      // The cure of a call that hangs in the mapping is not refused because of it.
      co_await on_device("the dead mapping " + mapping.name, "remove dead mapping " + mapping.name, map_deadline,
                         do_remove_dead);
      runtime::log(Severity::warning,
                   "the drive of an attached volume went away; removed its mapping, ignoring what was not written",
                   {{"volume", mapping.name}});
    } else if (!mapping.has_table) {
      const auto do_remove = [name = mapping.name](Devices& d) { return d.remove(name); };
      co_await on_device(dm::mapping_path(mapping.name), "remove half-made mapping " + mapping.name, map_deadline,
                         do_remove);
      runtime::log(Severity::notice, "removed a half-made mapping", {{"volume", mapping.name}});
    } else if (mapping.liveness == dm::Liveness::suspended) {
      const auto do_resume = [name = mapping.name](Devices& d) { d.resume(name); };
      co_await on_device(dm::mapping_path(mapping.name), "resume " + mapping.name, map_deadline, do_resume);
      runtime::log(Severity::notice, "resumed a mapping that was left suspended", {{"volume", mapping.name}});
    }
  } catch (const boost::system::system_error& error) {
    note_failure(seen.name, error);
    runtime::log(Severity::error, "cannot heal a mapping", {{"volume", seen.name}, {"cause", error.what()}});
  }
}

asio::awaitable<void> VolumeService::device_removed(std::string device, dev_t number,
                                                    std::chrono::milliseconds patience) {
  state_->reported.erase(number);
  state_->complaints.erase(device);
  state_->hanging.forget(device);
  state_->unrepaired.erase(device);
  const std::vector<dm::Mapping> live = co_await state_->mappings();
  const Snapshot known = co_await state_->catalogue.look();
  for (const dm::Mapping& mapping : live) {
    const bool ours = std::any_of(known.volumes.begin(), known.volumes.end(), [&](const cluster::VolumeRecord& record) {
      return dm::is_mapping_of(mapping.uuid, record.volume);
    });
    if (!ours || std::find(mapping.under.begin(), mapping.under.end(), number) == mapping.under.end()) continue;
    co_await wait_until_gone(*state_, device, number, patience);
    co_await state_->heal_one(mapping);
  }
  // A mapping that was kept alive by its last user has gone: its volume's drive may be back already.
  if (std::any_of(state_->failures.begin(), state_->failures.end(),
                  [](const auto& entry) { return entry.second.kind == "device_busy"; }))
    co_await attach_missing();
}

asio::awaitable<void> VolumeService::news_were_missed() {
  if (!member_of_cluster()) co_return;
  runtime::log(Severity::notice, "more drives came or went at once than udev could tell; looking at all of them");
  // Another drive may be behind each name by now. Not behind one that hangs: a call on a drive that was pulled ends.
  state_->reported.clear();
  state_->complaints.clear();
  state_->unrepaired.clear();
  co_await state_->heal();
  co_await attach_missing();
  co_await state_->report_present();
}

}  // namespace volcrypt::volumes
