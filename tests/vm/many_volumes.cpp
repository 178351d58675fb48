// A hundred drives at one boot: looks at the machine are shared, so the boot does not grow with the square of them, and
// no key costs memory to open (FAILURES.md E: systemd#12124, s390-tools#138).
#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <iostream>
#include <set>
#include <sstream>

#include "tests/vm/server.hpp"

using namespace volcrypt::test;

namespace {

std::int64_t number(const boost::json::value& entry, const char* field) {
  return std::stoll(std::string(entry.at(field).as_string()));
}

struct Attaches {
  std::set<std::string> volumes;
  std::int64_t last = 0;  // microseconds on the monotonic clock
};

// The attaches of this boot, as the agent told them. The journal has the monotonic time at which it received a line; on
// a busy machine that is later than the time at which the line was sent, which it has on the other clock.
Attaches attaches_of_this_boot(Machine& machine) {
  Attaches all;
  std::istringstream lines(
      machine.must("journalctl --sync; journalctl -b -o json --no-pager _SYSTEMD_UNIT=volcryptd.service PRIORITY=6"));
  for (std::string line; std::getline(lines, line);) {
    const auto entry = boost::json::parse(line);
    if (!entry.at("MESSAGE").as_string().starts_with("attached volume=")) continue;
    all.volumes.insert(std::string(entry.at("VOLCRYPT_VOLUME").as_string()));
    const auto delay = number(entry, "__REALTIME_TIMESTAMP") - number(entry, "_SOURCE_REALTIME_TIMESTAMP");
    all.last = std::max(all.last, number(entry, "__MONOTONIC_TIMESTAMP") - delay);
  }
  return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_hundred_volumes_attach_at_boot_twenty_mount_and_the_daemon_stays_below_32_mebibytes) {
  Transcript transcript(std::cout);
  Server server({.name = "many-volumes"}, transcript);
  Machine& machine = server.machine;
  for (int i = 1; i <= 100; ++i) machine.plug(machine.new_drive("drive" + std::to_string(i), {.mebibytes = 24}));
  machine.start();
  server.install_package();
  server.make_cluster(Protection::tpm);
  for (int i = 1; i <= 100; ++i)
    machine.must("volcryptctl create volume v" + std::to_string(i) +
                 " --device /dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive" + std::to_string(i));
  machine.must(
      "set -e; for i in $(seq 20); do mkfs.ext2 -q /dev/mapper/v$i; mkdir -p /srv/v$i; "
      "echo \"/dev/mapper/v$i /srv/v$i ext2 defaults,x-systemd.device-timeout=300 0 0\" >>/etc/fstab; done");
  // An emulated machine takes longer than the minute and a half that a boot waits for its volumes.
  machine.must(
      "mkdir -p /etc/systemd/system/volcrypt-settle.service.d && printf '[Service]\\nExecStart=\\n"
      "ExecStart=/usr/bin/volcryptctl settle --timeout 600\\nTimeoutStartSec=660\\n' "
      ">/etc/systemd/system/volcrypt-settle.service.d/patience.conf && systemctl daemon-reload");
  machine.reboot();
  BOOST_TEST(machine.must("systemctl is-active volcrypt.target") == "active\n");
  // It is reached after the last attach, not before.
  const Attaches attaches = attaches_of_this_boot(machine);
  BOOST_TEST(attaches.volumes.size() == 100U);
  BOOST_TEST(std::stoll(machine.must("systemctl show -p ActiveEnterTimestampMonotonic --value volcrypt.target")) >
             attaches.last);
  BOOST_TEST(machine.must("findmnt -n -t ext2 | grep -c /dev/mapper/v") == "20\n");
  BOOST_TEST(server.failed_units() == "");
  BOOST_TEST(machine.must("volcryptctl get volumes | grep -c ' attached '") == "100\n");
  const long kibibytes = server.resident_kibibytes();
  BOOST_TEST(kibibytes > 1024);  // it was read
  BOOST_TEST(kibibytes < 32 * 1024);
}
