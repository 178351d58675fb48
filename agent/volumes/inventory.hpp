// Inventory: what udev knows of block devices, by its own properties, without touching a device; and news of devices
// that came, changed or went away. The only user of libudev. The functions block briefly: device worker. DriveMonitor:
// loop thread.
#pragma once

#include <libudev.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <string>
#include <vector>

#include "agent/volumes/devices.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::volumes {

namespace asio = boost::asio;

// Every block device whose LUKS2 label says "volcrypt". Throws Error with errno when udev cannot be asked.
std::vector<Candidate> find_labelled();

// Every block device, ours and mappings included.
std::vector<DriveFacts> find_drives();
// No event is queued or under way in udevd (its /run/udev/queue).
bool udev_is_quiet();

// appeared: or changed, as when its content did. missed: more happened at once than could be heard.
enum class News { appeared, removed, missed };

struct DriveNews {
  News news = News::appeared;
  DriveFacts drive;  // of one that was removed: device and number alone; of what was missed: nothing
};

class DriveMonitor {
 public:
  // Listens from now on: start it before find_labelled(), or a device that goes in between is missed.
  explicit DriveMonitor(const asio::any_io_executor& executor);
  ~DriveMonitor();
  // The next block device that came, changed or went away, mappings included. After an overrun of the socket (very many
  // events at once) News::missed: look at everything.
  asio::awaitable<DriveNews> next();

 private:
  std::unique_ptr<udev, FreeWith<&udev_unref>> udev_;
  std::unique_ptr<udev_monitor, FreeWith<&udev_monitor_unref>> monitor_;
  asio::posix::stream_descriptor descriptor_;  // a duplicate: libudev owns and closes its own
};

}  // namespace volcrypt::volumes
