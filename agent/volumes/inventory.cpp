// Inventory through libudev: one enumeration, one monitor. Source: udev's own properties ID_FS_*
// (60-persistent-storage).
#include "agent/volumes/inventory.hpp"

#include <unistd.h>

#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
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

}  // namespace

std::vector<Candidate> find_labelled() {
  const std::unique_ptr<udev, FreeWith<&udev_unref>> context(udev_new());
  if (!context) throw Error(errno_code(errno), {"open", "udev", ""});
  const Enumerate enumerate(udev_enumerate_new(context.get()));
  if (!enumerate) throw Error(errno_code(errno), {"enumerate devices through", "udev", ""});
  check(udev_enumerate_add_match_subsystem(enumerate.get(), "block"), "enumerate devices through");
  const std::string subsystem(dm::header_subsystem);
  check(udev_enumerate_add_match_property(enumerate.get(), "ID_FS_SUBSYSTEM", subsystem.c_str()),
        "enumerate devices through");
  check(udev_enumerate_scan_devices(enumerate.get()), "enumerate devices through");
  std::vector<Candidate> found;
  for (udev_list_entry* entry = udev_enumerate_get_list_entry(enumerate.get()); entry != nullptr;
       entry = udev_list_entry_get_next(entry)) {
    const Device device(udev_device_new_from_syspath(context.get(), udev_list_entry_get_name(entry)));
    if (!device) continue;  // went away between the two questions
    const char* node = udev_device_get_devnode(device.get());
    // A mapping whose table is not live yet, or private to LVM: its answers are stale or not for us (as in the udev
    // rule).
    if (node == nullptr || property(device.get(), "DM_UDEV_DISABLE_OTHER_RULES_FLAG") == "1") continue;
    found.push_back({node, udev_device_get_devnum(device.get()), uuid_property(device.get())});
  }
  return found;
}

RemovalMonitor::RemovalMonitor(const asio::any_io_executor& executor) : udev_(udev_new()), descriptor_(executor) {
  if (udev_) monitor_.reset(udev_monitor_new_from_netlink(udev_.get(), "udev"));
  if (!monitor_) throw Error(errno_code(errno), {"listen to", "udev", ""});
  check(udev_monitor_filter_add_match_subsystem_devtype(monitor_.get(), "block", nullptr), "listen to");
  check(udev_monitor_enable_receiving(monitor_.get()), "listen to");
  const int copy = dup(udev_monitor_get_fd(monitor_.get()));
  if (copy < 0) throw Error(errno_code(errno), {"listen to", "udev", ""});
  descriptor_.assign(copy);
}

RemovalMonitor::~RemovalMonitor() = default;

asio::awaitable<Removal> RemovalMonitor::next() {
  for (;;) {
    co_await descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    const Device device(udev_monitor_receive_device(monitor_.get()));
    if (!device) continue;  // filtered, or lost to an overrun
    const char* action = udev_device_get_action(device.get());
    const char* node = udev_device_get_devnode(device.get());
    if (action != nullptr && node != nullptr && std::string_view(action) == "remove")
      co_return Removal{node, udev_device_get_devnum(device.get())};
  }
}

}  // namespace volcrypt::volumes
