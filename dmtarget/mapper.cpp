// Live mappings by means of dm tasks, see mapper.hpp.
#include "dmtarget/mapper.hpp"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <thread>

#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"
#include "dmtarget/name.hpp"
#include "dmtarget/sysfs.hpp"
#include "dmtarget/task.hpp"

namespace volcrypt::dm {
namespace {

bool is_absence(const Error& error) { return error.code() == errno_code(ENXIO); }

std::optional<KernelState> query(const std::string& name) {
  Task task(Verb::info, name);
  task.run();
  return task.state();
}

void run(Verb verb, const std::string& name) { Task(verb, name).run(); }

std::optional<Mapping> describe(const std::string& name) {
  std::optional<KernelState> state = query(name);
  if (!state) return std::nullopt;
  Mapping mapping;
  mapping.name = name;
  mapping.uuid = state->uuid;
  mapping.device = state->device;
  mapping.liveness = state->suspended ? Liveness::suspended : Liveness::active;
  mapping.open_count = state->open_count;
  mapping.has_table = state->live_table;
  mapping.is_leaving = state->deferred_removal;
  if (!mapping.has_table) return mapping;
  Task under(Verb::under, name);
  under.run();
  mapping.under = under.devices_under();
  Task status(Verb::status, name);
  status.without_flush().run();
  mapping.sectors = status.sectors();
  return mapping;
}

// The mapping may go away between two of the requests above.
std::optional<Mapping> describe_if_there(const std::string& name) {
  try {
    return describe(name);
  } catch (const Error& error) {
    if (is_absence(error)) return std::nullopt;
    throw;
  }
}

// Gives the mapping's device; empty when there was nothing to remove.
std::optional<dev_t> request_removal(const std::string& name) {
  const std::optional<KernelState> state = query(name);
  if (!state) return std::nullopt;
  try {
    Task task(Verb::remove, name);
    task.when_unused().run();
    return state->device;
  } catch (const Error& error) {
    if (is_absence(error)) return std::nullopt;
    throw;
  }
}

// Of a mapping whose last user let go the kernel takes the name away first, then lets go of the drive below and of the
// key, and at last takes the block device away. On the way its name cannot be read there any more; that of
// another mapping which got the same numbers can.
bool is_being_taken_down(dev_t device) {
  if (::access((sysfs_directory(device) + "/dm").c_str(), F_OK) != 0) return false;
  std::string line;
  return !std::getline(std::ifstream(sysfs_directory(device) + "/dm/name"), line);
}

bool is_gone(const std::string& name, dev_t device) { return !query(name) && !is_being_taken_down(device); }

// udev's probes hold a device for some milliseconds after a change, so "in use" is looked at again for half a second.
bool is_gone_soon(const std::string& name, dev_t device) {
  using namespace std::chrono_literals;
  for (int look = 0; look < 10; ++look) {
    if (is_gone(name, device)) return true;
    std::this_thread::sleep_for(50ms);
  }
  return is_gone(name, device);
}

// Swaps in a table that answers everything with an I/O error, so that whoever waits on a dead path comes back.
void replace_by_errors(const std::string& name, std::uint64_t sectors) {
  Task load(Verb::load, name);
  load.add_target(sectors, "error", "").run();
  // Not left suspended, nor with a table that waits for the next resume.
  Undo put_back([&name]() noexcept {
    for (Verb verb : {Verb::clear, Verb::resume}) {
      try {
        run(verb, name);
      } catch (const Error&) {  // the error that brought us here is the one to report
      }
    }
  });
  // Both steps, so that the swap under the library's lock is short: suspend waits outside of it.
  Task suspend(Verb::suspend, name);
  suspend.without_flush().run();
  Task resume(Verb::resume, name);
  resume.without_flush().run();
  put_back.keep();
}

}  // namespace

std::vector<Mapping> list_mappings() {
  Task list(Verb::list, "");
  list.run();
  std::vector<Mapping> mappings;
  for (const NamedDevice& device : list.names()) {
    try {
      if (auto mapping = describe_if_there(device.name)) mappings.push_back(std::move(*mapping));
    } catch (const Error&) {  // one that cannot be queried must not hide the others: its liveness is unknown
      Mapping unknown;
      unknown.name = device.name;
      unknown.device = device.device;
      mappings.push_back(std::move(unknown));
    }
  }
  return mappings;
}

std::optional<Mapping> find_mapping(const std::string& name) { return describe_if_there(name); }

std::string table_of(const std::string& name) {
  Task task(Verb::table, name);
  task.run();
  return task.crypt_line();
}

void suspend(const std::string& name) { run(Verb::suspend, name); }

void resume(const std::string& name) { run(Verb::resume, name); }

void rename(const std::string& from, const std::string& to) {
  check_volume_name(to);
  if (query(to)) {
    throw Error(errc::name_taken, {"rename the mapping " + quoted(from) + " to", quoted(to), "Choose another name."});
  }
  Task task(Verb::rename, from);
  task.rename_to(to).run();
}

Removal remove_mapping(const std::string& name) {
  const std::optional<dev_t> device = request_removal(name);
  if (!device) return Removal::was_absent;
  return is_gone_soon(name, *device) ? Removal::removed : Removal::deferred;
}

// The removal is asked for first: should the swap never come back (I/O of ours that the device below neither answers
// nor refuses), the mapping still goes with its last user.
Removal remove_dead_mapping(const std::string& name) {
  const std::optional<dev_t> device = request_removal(name);
  if (!device) return Removal::was_absent;
  const std::optional<Mapping> mapping = find_mapping(name);
  try {
    if (mapping && mapping->has_table) replace_by_errors(name, mapping->sectors);
  } catch (const Error&) {
    // Its last user let go in between: what the kernel says of a mapping that it is taking down depends on how far it
    // is (ENXIO, but EINVAL of a resume that already found it). A mapping that stays is a failure.
    if (!is_gone_soon(name, *device)) throw;
    return Removal::removed;
  }
  return is_gone_soon(name, *device) ? Removal::removed : Removal::deferred;
}

}  // namespace volcrypt::dm
