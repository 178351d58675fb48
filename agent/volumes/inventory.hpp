// Inventory: what udev knows of block devices, by its own properties, without touching a device; and news of devices
// that went away. The only user of libudev. find_labelled() blocks briefly: device worker. RemovalMonitor: loop thread.
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

struct Removal {
  std::string device;  // "/dev/vdb"
  dev_t number = 0;
};

class RemovalMonitor {
 public:
  // Listens from now on: start it before find_labelled(), or a device that goes in between is missed.
  explicit RemovalMonitor(const asio::any_io_executor& executor);
  ~RemovalMonitor();
  // The next block device that went away, mappings included. An overrun of the socket (very many events at once) ends
  // with ENOBUFS inside and is skipped: the service compares mappings with present devices whenever it looks.
  asio::awaitable<Removal> next();

 private:
  std::unique_ptr<udev, FreeWith<&udev_unref>> udev_;
  std::unique_ptr<udev_monitor, FreeWith<&udev_monitor_unref>> monitor_;
  asio::posix::stream_descriptor descriptor_;  // a duplicate: libudev owns and closes its own
};

}  // namespace volcrypt::volumes
