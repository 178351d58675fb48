// FileDevices, see file_devices.hpp.
#include "tests/support/file_devices.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <type_traits>

#include "agent/volumes/dm_devices.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::test {

namespace {

constexpr std::uint64_t data_offset = 2 << 20;

}  // namespace

namespace {

dm::Mapping mapping_over(const volumes::Sighting& drive) {
  dm::Mapping mapping;
  mapping.name = drive.token.name;
  mapping.uuid = dm::mapping_uuid(drive.token.volume, drive.token.name);
  mapping.liveness = dm::Liveness::active;
  mapping.has_table = true;
  mapping.sectors = (drive.bytes - drive.token.description.data_offset) / 512;
  mapping.under = {drive.number};
  return mapping;
}

}  // namespace

dev_t FileDevices::number_of(const std::string& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) throw Error(errc::device_unreadable, {"look at", file, ""});
  return status.st_ino;
}

// One call of Devices, with what a test does before and after it; nothing after a call that threw. Not a scope guard:
// g++ 12 loses the result of a function when a destructor throws behind its return.
template <class Call>
auto FileDevices::step(std::string_view name, Call call) {
  if (before) before(name);
  if constexpr (std::is_void_v<decltype(call())>) {
    call();
    if (after) after(name);
  } else {
    auto result = call();
    if (after) after(name);
    return result;
  }
}

std::string make_drive(const std::string& directory, const std::string& name) {
  std::string file = directory + "/" + name;
  const Fd fd(open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd || ftruncate(fd.get(), FileDevices::drive_size) != 0) throw Error(errno_code(errno), {"make", file, ""});
  return file;
}

void FileDevices::plug(const std::string& file) {
  const std::lock_guard lock(mutex_);
  plugged_.insert(file);
}

void FileDevices::unplug(const std::string& file) {
  const std::lock_guard lock(mutex_);
  hangs_.erase(file);
  plugged_.erase(file);
}

void FileDevices::hold(const std::string& name) {
  const std::lock_guard lock(mutex_);
  ++users_[name];
}

void FileDevices::let_go(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (--users_[name] == 0 && deferred_.erase(name) > 0) live_.erase(name);
}

void FileDevices::leave_suspended(const std::string& name) {
  const std::lock_guard lock(mutex_);
  live_.at(name).liveness = dm::Liveness::suspended;
}

void FileDevices::leave_half_made(const std::string& name, const Uuid& volume) {
  const std::lock_guard lock(mutex_);
  dm::Mapping mapping;
  mapping.name = name;
  mapping.uuid = dm::mapping_uuid(volume, name);
  mapping.liveness = dm::Liveness::active;
  live_[name] = mapping;
}

void FileDevices::map_again(const std::string& name, const std::string& file) {
  const volumes::Sighting seen = volumes::look_at_header(file);
  const std::lock_guard lock(mutex_);
  live_[name] = mapping_over(seen);
}

void FileDevices::break_down(const std::string& file) {
  const std::lock_guard lock(mutex_);
  broken_.insert(file);
}

void FileDevices::repair(const std::string& file) {
  const std::lock_guard lock(mutex_);
  broken_.erase(file);
}

void FileDevices::hang(const std::string& file) {
  const std::lock_guard lock(mutex_);
  lasting_.insert(hangs_[file] = next_hang_++);
}

void FileDevices::answer(const std::string& file) {
  const std::lock_guard lock(mutex_);
  lasting_.erase(hangs_[file]);
  hangs_.erase(file);
  answered_.notify_all();
}

void FileDevices::answer_all() {
  const std::lock_guard lock(mutex_);
  lasting_.clear();
  hangs_.clear();
  answered_.notify_all();
}

std::size_t FileDevices::hung() const {
  const std::lock_guard lock(mutex_);
  return hung_;
}

void FileDevices::be_busy(bool busy) {
  const std::lock_guard lock(mutex_);
  busy_ = busy;
}

std::size_t FileDevices::mapped() const {
  const std::lock_guard lock(mutex_);
  return live_.size();
}

void FileDevices::must_answer(const std::string& device) const {
  std::unique_lock lock(mutex_);
  if (const auto found = hangs_.find(device); found != hangs_.end()) {
    const std::uint64_t hang = found->second;
    ++hung_;
    answered_.wait(lock, [&] { return !lasting_.contains(hang); });
    --hung_;
  }
  if (!plugged_.contains(device))
    throw Error(errc::device_unreadable, {"look at", device, "There is no such device now."});
  if (broken_.contains(device)) throw Error(errc::device_unreadable, {"read", device, ""});
}

// udev's blkid sees a label wherever one header copy is intact; so does this.
std::vector<volumes::Candidate> FileDevices::scan() {
  return step("scan", [&] {
    std::set<std::string> files;
    {
      const std::lock_guard lock(mutex_);
      std::set_difference(plugged_.begin(), plugged_.end(), broken_.begin(), broken_.end(),
                          std::inserter(files, files.end()));
    }
    std::vector<volumes::Candidate> found;
    for (const std::string& file : files) {
      try {
        found.push_back({file, number_of(file), dm::LuksHeader::open(file).facts().uuid});
      } catch (const Error&) {
        // no header of ours
      }
    }
    return found;
  });
}

bool FileDevices::present(dev_t number) {
  const std::lock_guard lock(mutex_);
  return std::any_of(plugged_.begin(), plugged_.end(),
                     [&](const std::string& file) { return number_of(file) == number; });
}

volumes::Sighting FileDevices::look(const std::string& device) {
  return step("look", [&] {
    must_answer(device);
    return volumes::look_at_header(device);
  });
}

std::vector<dm::Mapping> FileDevices::mappings() {
  return step("mappings", [&] {
    const std::lock_guard lock(mutex_);
    std::vector<dm::Mapping> all;
    for (const auto& [name, mapping] : live_) all.push_back(mapping);
    return all;
  });
}

dm::Description FileDevices::describe(const std::string& device, dm::Discards discards) {
  return step("describe", [&] {
    must_answer(device);
    dm::Description description;
    description.data_offset = data_offset;
    description.discards = discards;
    return description;
  });
}

void FileDevices::check_formattable(const std::string& device, dm::ExistingData existing) {
  return step("check_formattable", [&] {
    must_answer(device);
    dm::check_formattable(device, existing);
  });
}

void FileDevices::create(const std::string& device, const dm::Token& token, const Secret& key,
                         dm::ExistingData existing) {
  return step("create", [&] {
    must_answer(device);
    dm::create(device, token, key, existing);
  });
}

dm::Changed FileDevices::attach(const std::string& device, const dm::Token& proved, const Secret& key) {
  return step("attach", [&] {
    const volumes::Sighting seen = look(device);
    if (!(seen.token == proved)) throw Error(errc::header_changed, {"attach", device, ""});
    verify_key(device, key);
    const std::lock_guard lock(mutex_);
    const std::string uuid = dm::mapping_uuid(seen.token.volume, seen.token.name);
    for (const auto& [name, mapping] : live_) {
      const bool over = std::find(mapping.under.begin(), mapping.under.end(), seen.number) != mapping.under.end();
      if (name == seen.token.name && mapping.uuid == uuid && over) return dm::Changed::no;
      if (name == seen.token.name) throw Error(errc::name_taken, {"attach", device, ""});
      if (over) throw Error(errc::device_busy, {"attach", device, ""});
    }
    live_[seen.token.name] = mapping_over(seen);
    return dm::Changed::yes;
  });
}

dm::Changed FileDevices::detach(const std::string& name) {
  return step("detach", [&] {
    const std::lock_guard lock(mutex_);
    if (!live_.contains(name)) return dm::Changed::no;
    if (users_[name] > 0) throw Error(errc::device_busy, {"detach", name, ""});
    live_.erase(name);
    return dm::Changed::yes;
  });
}

dm::Changed FileDevices::repair_header(const std::string& device, const dm::Token& proved, const Secret& key) {
  return step("repair_header", [&] {
    must_answer(device);
    return dm::repair_header(device, proved, key);
  });
}

dm::Changed FileDevices::rewrap(const std::string& device, const dm::Token& token) {
  return step("rewrap", [&] {
    must_answer(device);
    return dm::rewrap(device, token);
  });
}

dm::Changed FileDevices::take_back(const std::string& device, const dm::Rewrap& rewrap) {
  return step("take_back", [&] {
    must_answer(device);
    return dm::take_back(device, rewrap);
  });
}

void FileDevices::verify_key(const std::string& device, const Secret& key) {
  return step("verify_key", [&] {
    must_answer(device);
    dm::LuksHeader::open(device).verify_volume_key(key);
  });
}

void FileDevices::erase(const std::string& device, const Uuid& volume) {
  return step("erase", [&] {
    must_answer(device);
    dm::erase(device, volume);
  });
}

Bytes FileDevices::backup_header(const std::string& device) {
  return step("backup_header", [&] {
    must_answer(device);
    return dm::backup_header(device);
  });
}

void FileDevices::restore_header(const std::string& device, ByteView backup, const Uuid& expected) {
  return step("restore_header", [&] {
    must_answer(device);
    dm::restore_header(device, backup, expected);
  });
}

void FileDevices::resume(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(name);
  if (found == live_.end()) throw Error(errc::not_attached, {"resume", name, ""});
  found->second.liveness = dm::Liveness::active;
}

dm::Removal FileDevices::remove(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (!live_.contains(name)) return dm::Removal::was_absent;
  if (users_[name] > 0) {
    deferred_.insert(name);
    live_.at(name).is_leaving = true;
    return dm::Removal::deferred;
  }
  live_.erase(name);
  return dm::Removal::removed;
}

dm::Removal FileDevices::remove_dead(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = live_.find(name);
    if (found != live_.end()) found->second.under.clear();  // the error target is over nothing
  }
  return remove(name);
}

}  // namespace volcrypt::test
