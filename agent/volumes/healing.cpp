// Healing: mappings that an agent left half-made or suspended when it died, and mappings whose drive went away. Live
// mappings are never touched.
#include <algorithm>

#include "agent/runtime/log.hpp"
#include "agent/volumes/parallel.hpp"
#include "agent/volumes/service_state.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::volumes {

using runtime::Severity;

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

asio::awaitable<void> VolumeService::State::heal_one(dm::Mapping mapping) {
  const Locks::Held turn = co_await locks.lock(mapping.name);
  try {
    bool gone = !mapping.under.empty();
    for (const dev_t number : mapping.under) {
      const auto do_look = [number](Devices& d) { return d.present(number); };
      if (co_await on_device("look for the drive of " + mapping.name, look_deadline, do_look)) gone = false;
    }
    if (gone) {
      const auto do_remove_dead = [name = mapping.name](Devices& d) { return d.remove_dead(name); };
      co_await on_device("remove dead mapping " + mapping.name, map_deadline, do_remove_dead);
      runtime::log(Severity::warning,
                   "the drive of an attached volume went away; removed its mapping, ignoring what was not written",
                   {{"volume", mapping.name}});
    } else if (!mapping.has_table) {
      const auto do_remove = [name = mapping.name](Devices& d) { return d.remove(name); };
      co_await on_device("remove half-made mapping " + mapping.name, map_deadline, do_remove);
      runtime::log(Severity::notice, "removed a half-made mapping", {{"volume", mapping.name}});
    } else if (mapping.liveness == dm::Liveness::suspended) {
      const auto do_resume = [name = mapping.name](Devices& d) { d.resume(name); };
      co_await on_device("resume " + mapping.name, map_deadline, do_resume);
      runtime::log(Severity::notice, "resumed a mapping that was left suspended", {{"volume", mapping.name}});
    }
  } catch (const boost::system::system_error& error) {
    note_failure(mapping.name, error);
    runtime::log(Severity::error, "cannot heal a mapping", {{"volume", mapping.name}, {"cause", error.what()}});
  }
}

asio::awaitable<void> VolumeService::device_removed(std::string device, dev_t number) {
  state_->reported.erase(number);
  state_->complaints.erase(device);
  state_->unrepaired.erase(device);
  const std::vector<dm::Mapping> live = co_await state_->mappings();
  const Snapshot known = co_await state_->catalogue.look();
  for (const dm::Mapping& mapping : live) {
    const bool ours = std::any_of(known.volumes.begin(), known.volumes.end(), [&](const cluster::VolumeRecord& record) {
      return dm::is_mapping_of(mapping.uuid, record.volume);
    });
    if (!ours || std::find(mapping.under.begin(), mapping.under.end(), number) == mapping.under.end()) continue;
    // udev tells of it while the kernel may still be taking the device down.
    asio::steady_timer pause(co_await asio::this_coro::executor);
    for (int look = 0; look < 10; ++look) {
      const auto do_look = [number](Devices& d) { return d.present(number); };
      const bool there = co_await state_->on_device("look for " + device, State::look_deadline, do_look);
      if (!there) break;
      pause.expires_after(std::chrono::milliseconds(200));
      co_await pause.async_wait(asio::use_awaitable);
    }
    co_await state_->heal_one(mapping);
  }
  // A mapping that was kept alive by its last user has gone: its volume's drive may be back already.
  if (std::any_of(state_->failures.begin(), state_->failures.end(),
                  [](const auto& entry) { return entry.second.kind == "device_busy"; }))
    co_await attach_missing();
}

}  // namespace volcrypt::volumes
