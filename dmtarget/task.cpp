// Requests to device-mapper through libdevmapper, see task.hpp.
#include "dmtarget/task.hpp"

#include <libdevmapper.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <thread>

#include "dmtarget/error.hpp"
#include "dmtarget/library_turn.hpp"
#include "dmtarget/table.hpp"

namespace volcrypt::dm {
namespace {

struct VerbFacts {
  int type;
  const char* operation;
  bool makes_uevent;  // then udev works on it, and we wait
};

const VerbFacts& facts(Verb verb) {
  static constexpr std::array<VerbFacts, 11> table{{
      {DM_DEVICE_LIST, "list", false},
      {DM_DEVICE_INFO, "query", false},
      {DM_DEVICE_STATUS, "read the status of", false},
      {DM_DEVICE_TABLE, "read the table of", false},
      {DM_DEVICE_DEPS, "read the devices under", false},
      {DM_DEVICE_RELOAD, "load a table into", false},
      {DM_DEVICE_CLEAR, "drop the inactive table of", false},
      {DM_DEVICE_SUSPEND, "suspend", false},
      {DM_DEVICE_RESUME, "resume", true},
      {DM_DEVICE_RENAME, "rename", true},
      {DM_DEVICE_REMOVE, "remove", true},
  }};
  return table[static_cast<std::size_t>(verb)];
}

// Errors are thrown, not printed. libcryptsetup sets its own function while it is at work: then that one stays.
void discard_log(int, const char*, int, int, const char*, ...) {}

// libcryptsetup closes libdevmapper's one control descriptor when its last context ends, perhaps under a suspend of
// ours in another thread; so it is held open.
void prepare_library() {
  static std::once_flag once;
  std::call_once(once, [] { dm_hold_control_dev(1); });
  if (dm_log_is_non_default() == 0) dm_log_with_errno_init(discard_log);
}

// With udev at work, only udev touches /dev/mapper: libdevmapper's own clean-up would unlink the name of a mapping
// whose removal is merely deferred. Without udev (a rescue system) libdevmapper has to make the names.
std::uint16_t udev_flags() { return dm_udev_get_sync_support() != 0 ? DM_UDEV_DISABLE_LIBRARY_FALLBACK : 0; }

// One look at the cookie; true when there is nothing more to wait for.
bool udev_is_done(std::uint32_t cookie) {
  const LibraryTurn turn;
  int ready = 0;
  return dm_udev_wait_immediate(cookie, &ready) == 0 || ready != 0;
}

void wait_for_udev(std::uint32_t cookie) {
  using namespace std::chrono_literals;
  auto pause = 1ms;
  const auto give_up = std::chrono::steady_clock::now() + LibraryTurn::udev_patience;
  while (!udev_is_done(cookie)) {
    if (std::chrono::steady_clock::now() >= give_up) {
      // A udev worker was killed or hangs. The mapping is what it is; the semaphore must not outlive us.
      const LibraryTurn turn;
      dm_udev_complete(cookie);
      dm_udev_wait(cookie);
      return;
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, 32ms);
  }
}

std::string way_out(int number) {
  switch (number) {
    case EBUSY:
      return "Unmount it and stop what uses it; lsblk and fuser -vm show who that is.";
    case ENODEV:
      return "Load the kernel's device-mapper (modprobe dm_mod), and dm-crypt.";
    case EPERM:
    case EACCES:
      return "It takes root (CAP_SYS_ADMIN).";
    default:
      return "";
  }
}

}  // namespace

void Task::Destroy::operator()(dm_task* task) const noexcept { dm_task_destroy(task); }

Task::Task(Verb verb, const std::string& name) : verb_(verb), name_(name) {
  const LibraryTurn turn;
  prepare_library();
  task_.reset(dm_task_create(facts(verb).type));
  if (!task_) fail(ENODEV);  // the version check that comes first found no device-mapper
  require(dm_task_secure_data(task_.get()));
  if (!name.empty()) require(dm_task_set_name(task_.get(), name.c_str()));
}

Task::~Task() {
  if (cookie_ == 0) return;
  try {
    wait_for_udev(cookie_);
  } catch (const Error&) {
    // udev hangs under an activation. What was asked for is done; the cookie is left to `dmsetup udevcomplete_all`.
  }
}

void Task::fail(int number) const {
  std::string object = name_.empty() ? "the mappings of this machine" : "the mapping " + quoted(name_);
  throw Error(errno_code(number), {facts(verb_).operation, object, way_out(number)});
}

// Setters fail for a name that device-mapper cannot have, and for lack of memory.
void Task::require(int outcome) const {
  if (outcome == 0) fail(EINVAL);
}

Task& Task::rename_to(const std::string& name) {
  require(dm_task_set_newname(task_.get(), name.c_str()));
  return *this;
}

Task& Task::when_unused() {
  require(dm_task_deferred_remove(task_.get()));
  return *this;
}

Task& Task::without_flush() {
  require(dm_task_no_flush(task_.get()));
  require(dm_task_skip_lockfs(task_.get()));
  return *this;
}

Task& Task::add_target(std::uint64_t sectors, const std::string& type, const std::string& parameters) {
  require(dm_task_add_target(task_.get(), 0, sectors, type.c_str(), parameters.c_str()));
  return *this;
}

void Task::run() {
  std::optional<LibraryTurn> turn;
  if (verb_ != Verb::suspend) turn.emplace();
  if (facts(verb_).makes_uevent) require(dm_task_set_cookie(task_.get(), &cookie_, udev_flags()));
  if (dm_task_run(task_.get()) == 0) {
    int number = dm_task_get_errno(task_.get());
    fail(number != 0 ? number : ENODEV);  // no ioctl was made: /dev/mapper/control could not be opened
  }
}

std::optional<KernelState> Task::state() const {
  dm_info info{};
  require(dm_task_get_info(task_.get(), &info));
  if (info.exists == 0) return std::nullopt;
  KernelState state;
  if (const char* uuid = dm_task_get_uuid(task_.get())) state.uuid = uuid;
  state.device = ::makedev(info.major, info.minor);
  state.open_count = static_cast<std::uint32_t>(info.open_count);
  state.suspended = info.suspended != 0;
  state.live_table = info.live_table != 0;
  state.deferred_removal = info.deferred_remove != 0;
  return state;
}

std::vector<NamedDevice> Task::names() const {
  std::vector<NamedDevice> names;
  const dm_names* entry = dm_task_get_names(task_.get());
  if (entry == nullptr || entry->dev == 0) return names;
  for (;;) {
    names.push_back({entry->name, static_cast<dev_t>(entry->dev)});
    if (entry->next == 0) return names;
    entry = reinterpret_cast<const dm_names*>(reinterpret_cast<const char*>(entry) + entry->next);
  }
}

std::vector<dev_t> Task::devices_under() const {
  std::vector<dev_t> devices;
  const dm_deps* deps = dm_task_get_deps(task_.get());
  for (std::uint32_t i = 0; deps != nullptr && i < deps->count; ++i)
    devices.push_back(static_cast<dev_t>(deps->device[i]));
  return devices;
}

std::uint64_t Task::sectors() const {
  void* next = nullptr;
  std::uint64_t start = 0, length = 0, end = 0;
  char* type = nullptr;
  char* parameters = nullptr;
  do {
    next = dm_get_next_target(task_.get(), next, &start, &length, &type, &parameters);
    if (type != nullptr) end = start + length;
  } while (next != nullptr);
  return end;
}

std::string Task::crypt_line() const {
  std::uint64_t start = 0, length = 0;
  char* type = nullptr;
  char* parameters = nullptr;
  void* next = dm_get_next_target(task_.get(), nullptr, &start, &length, &type, &parameters);
  bool ours = next == nullptr && start == 0 && type != nullptr && parameters != nullptr &&
              std::strcmp(type, "crypt") == 0 && key_is_reference(parameters);
  if (!ours) {
    throw Error(errc::unknown_outcome, {"take the mapping " + quoted(name_) + " for", "a volume",
                                        "It is not one crypt target whose key is in the kernel keyring."});
  }
  return "0 " + std::to_string(length) + " crypt " + parameters;
}

}  // namespace volcrypt::dm
