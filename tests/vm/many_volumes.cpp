// A hundred drives at one boot: looks at the machine are shared, so the boot does not grow with the square of them, and
// no key costs memory to open (FAILURES.md E: systemd#12124, s390-tools#138).
#include <boost/test/unit_test.hpp>
#include <iostream>

#include "tests/vm/server.hpp"

using namespace volcrypt::test;

BOOST_AUTO_TEST_CASE(a_hundred_volumes_attach_at_boot_twenty_mount_and_the_daemon_stays_below_32_mebibytes) {
  Transcript transcript(std::cout);
  Server server({.name = "many-volumes"}, transcript);
  Machine& machine = server.machine;
  for (int i = 1; i <= 100; ++i) machine.plug(machine.new_drive("drive" + std::to_string(i), {.mebibytes = 24}));
  machine.start();
  server.install_package();
  server.make_cluster(Protection::tpm);
  machine.must(
      Command{.line = "set -e; for i in $(seq 100); do volcryptctl create volume v$i --device "
                      "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive$i; done; "
                      "for i in $(seq 20); do mkfs.ext2 -q /dev/mapper/v$i; mkdir -p /srv/v$i; "
                      "echo \"/dev/mapper/v$i /srv/v$i ext2 defaults,x-systemd.device-timeout=300 0 0\" >>/etc/fstab; "
                      "done",
              .input = {},
              .deadline = std::chrono::seconds{800}});
  machine.reboot();
  BOOST_TEST(machine.must("systemctl is-active volcrypt.target") == "active\n");
  BOOST_TEST(machine.must("findmnt -n -t ext2 | grep -c /dev/mapper/v") == "20\n");
  BOOST_TEST(server.failed_units() == "");
  BOOST_TEST(machine.must("volcryptctl get volumes | grep -c ' attached '") == "100\n");
  const long kibibytes = server.resident_kibibytes();
  BOOST_TEST(kibibytes > 1024);  // it was read
  BOOST_TEST(kibibytes < 32 * 1024);
}
