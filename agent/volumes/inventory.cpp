// Inventory through libudev: one enumeration, one monitor. Source: udev's own properties ID_FS_*
// (60-persistent-storage).
#include "agent/volumes/inventory.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "dmtarget/error.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::volumes {

namespace {

using Enumerate = std::unique_ptr<udev_enumerate, FreeWith<&udev_enumerate_unref>>;
using Device = std::unique_ptr<udev_device, FreeWith<&udev_device_unref>>;

void check(int result, const char* operation) {
  if (result < 0) throw Error(errno_code(-result), {operation, "udev", "Is systemd-udevd running?"});
}

std::string_view property(udev_device* device, const char* name) {
  const char* value = udev_device_get_property_value(device, name);
  return value == nullptr ? std::string_view{} : value;
}

std::optional<Uuid> uuid_property(udev_device* device) {
  try {
    return Uuid::parse(property(device, "ID_FS_UUID"));
  } catch (const Error&) {  // another spelling or none: reading the header will tell
    return std::nullopt;
  }
}

using Context = std::unique_ptr<udev, FreeWith<&udev_unref>>;
using Queue = std::unique_ptr<udev_queue, FreeWith<&udev_queue_unref>>;

Context open_udev() {
  Context context(udev_new());
  if (!context) throw Error(errno_code(errno), {"open", "udev", ""});
  return context;
}

// Block devices; with a value of ID_FS_SUBSYSTEM those alone.
std::vector<Device> block_devices(udev* context, const char* subsystem) {
  const Enumerate enumerate(udev_enumerate_new(context));
  if (!enumerate) throw Error(errno_code(errno), {"enumerate devices through", "udev", ""});
  check(udev_enumerate_add_match_subsystem(enumerate.get(), "block"), "enumerate devices through");
  if (subsystem != nullptr)
    check(udev_enumerate_add_match_property(enumerate.get(), "ID_FS_SUBSYSTEM", subsystem),
          "enumerate devices through");
  check(udev_enumerate_scan_devices(enumerate.get()), "enumerate devices through");
  std::vector<Device> found;
  for (udev_list_entry* entry = udev_enumerate_get_list_entry(enumerate.get()); entry != nullptr;
       entry = udev_list_entry_get_next(entry)) {
    Device device(udev_device_new_from_syspath(context, udev_list_entry_get_name(entry)));
    if (device) found.push_back(std::move(device));  // else it went away between the two questions
  }
  return found;
}

// Mappings, arrays and caches above it.
bool has_holders(udev_device* device) {
  std::error_code unknown;
  const std::filesystem::directory_iterator holders(std::filesystem::path(udev_device_get_syspath(device)) / "holders",
                                                    unknown);
  return !unknown && holders != std::filesystem::directory_iterator();
}

std::uint64_t sectors_of(udev_device* device) {
  const char* size = udev_device_get_sysattr_value(device, "size");
  return size == nullptr ? 0 : std::strtoull(size, nullptr, 10);
}

// What stays with the drive when it gets another name. No blank: it stands as one word in the catalogue's intents.
std::string identity_of(udev_device* device) {
  std::string identity;
  for (const char* name : {"ID_WWN_WITH_EXTENSION", "ID_SERIAL", "DM_UUID", "MD_UUID"})
    if (const std::string_view value = property(device, name); !value.empty())
      identity.append(identity.empty() ? "" : ":").append(value);
  if (identity.empty()) return identity;
  if (const char* start = udev_device_get_sysattr_value(device, "start")) identity.append("@").append(start);
  std::replace_if(
      identity.begin(), identity.end(), [](unsigned char byte) { return byte <= ' ' || byte == '{' || byte >= 127; },
      '_');
  return identity;
}

DriveFacts facts_of(udev_device* device) {
  DriveFacts drive;
  drive.device = udev_device_get_devnode(device);
  drive.number = udev_device_get_devnum(device);
  drive.kernel_name = udev_device_get_sysname(device);
  const char* type = udev_device_get_devtype(device);
  drive.extent = type != nullptr && std::string_view(type) == "partition" ? Extent::partition : Extent::drive;
  drive.sectors = sectors_of(device);
  drive.content = property(device, "ID_FS_TYPE");
  drive.subsystem = property(device, "ID_FS_SUBSYSTEM");
  drive.partition_table = property(device, "ID_PART_TABLE_TYPE");
  drive.identity = identity_of(device);
  drive.optical = property(device, "ID_CDROM") == "1";
  drive.in_use = has_holders(device) || property(device, "DM_MULTIPATH_DEVICE_PATH") == "1";
  drive.ready = property(device, "SYSTEMD_READY") != "0";
  return drive;
}

}  // namespace

std::vector<DriveFacts> find_drives() {
  const Context context = open_udev();
  std::vector<DriveFacts> found;
  for (const Device& device : block_devices(context.get(), nullptr))
    if (udev_device_get_devnode(device.get()) != nullptr) found.push_back(facts_of(device.get()));
  return found;
}

bool udev_is_quiet() {
  const Context context = open_udev();
  const Queue queue(udev_queue_new(context.get()));
  if (!queue) throw Error(errno_code(errno), {"ask for the queue of", "udev", ""});
  return udev_queue_get_queue_is_empty(queue.get()) != 0;
}

std::vector<Candidate> find_labelled() {
  const Context context = open_udev();
  const std::string subsystem(dm::header_subsystem);
  std::vector<Candidate> found;
  for (const Device& device : block_devices(context.get(), subsystem.c_str())) {
    const char* node = udev_device_get_devnode(device.get());
    // A mapping whose table is not live yet, or private to LVM: its answers are stale or not for us (as in the udev
    // rule).
    if (node == nullptr || property(device.get(), "DM_UDEV_DISABLE_OTHER_RULES_FLAG") == "1") continue;
    found.push_back({node, udev_device_get_devnum(device.get()), uuid_property(device.get())});
  }
  return found;
}

DriveMonitor::DriveMonitor(const asio::any_io_executor& executor) : udev_(udev_new()), descriptor_(executor) {
  if (udev_) monitor_.reset(udev_monitor_new_from_netlink(udev_.get(), "udev"));
  if (!monitor_) throw Error(errno_code(errno), {"listen to", "udev", ""});
  check(udev_monitor_filter_add_match_subsystem_devtype(monitor_.get(), "block", nullptr), "listen to");
  check(udev_monitor_enable_receiving(monitor_.get()), "listen to");
  const int copy = dup(udev_monitor_get_fd(monitor_.get()));
  if (copy < 0) throw Error(errno_code(errno), {"listen to", "udev", ""});
  descriptor_.assign(copy);
}

DriveMonitor::~DriveMonitor() = default;

asio::awaitable<DriveNews> DriveMonitor::next() {
  for (;;) {
    co_await descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    errno = 0;
    const Device device(udev_monitor_receive_device(monitor_.get()));
    DriveNews told;
    if (!device && errno == ENOBUFS) {
      told.news = News::missed;
      co_return told;
    }
    if (!device) continue;  // filtered
    const char* action = udev_device_get_action(device.get());
    const char* node = udev_device_get_devnode(device.get());
    if (action == nullptr || node == nullptr) continue;
    if (std::string_view(action) == "remove") {
      told.news = News::removed;
      told.drive.device = node;
      told.drive.number = udev_device_get_devnum(device.get());
    } else if (std::string_view(action) == "add" || std::string_view(action) == "change") {
      told.drive = facts_of(device.get());
    } else {  // move, bind, online...: nothing of ours follows from them
      continue;
    }
    co_return told;
  }
}

}  // namespace volcrypt::volumes
