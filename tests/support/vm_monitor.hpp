// QEMU's machine protocol (QMP): the hand that plugs and pulls drives. One thread.
#pragma once

#include <boost/json/value.hpp>
#include <string_view>
#include <vector>

#include "tests/support/vm_channel.hpp"

namespace volcrypt::test {

class Monitor {
 public:
  Monitor(const std::filesystem::path& socket, Deadline deadline);

  // Throws with QEMU's own words when the command is refused.
  boost::json::value execute(std::string_view command, boost::json::object arguments = {});
  // Waits for DEVICE_DELETED of a device; one that has come already counts.
  void wait_until_deleted(std::string_view device, Deadline deadline);

 private:
  JsonChannel channel_;
  std::vector<boost::json::object> events_;
};

}  // namespace volcrypt::test
