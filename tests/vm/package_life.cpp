// The package from installation to purge: units enabled and clean, the group, the conffile; removal leaves live volumes
// and the state alone; purging refuses while a volume needs the state, and deletes it when none does. Boots of one
// machine.
#include <boost/test/unit_test.hpp>
#include <iostream>

#include "tests/vm/server.hpp"

using namespace volcrypt::test;

namespace {

struct Installed {
  Transcript transcript{std::cout};
  Server server{{.name = "package"}, transcript};
  Machine& machine = server.machine;
  Drive& drive = machine.new_drive("drive1");

  Installed() {
    machine.plug(drive);
    machine.start();
    server.install_package();
  }

  bool succeeds(const std::string& line) { return machine.run(line).exit_code == 0; }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(the_package_installs_runs_survives_removal_and_is_purged_only_without_volumes, Installed) {
  // What it brought.
  BOOST_TEST(succeeds("systemctl is-enabled volcryptd.service volcrypt.target volcrypt-settle.service"));
  BOOST_TEST(succeeds("getent group volcrypt"));
  BOOST_TEST(machine.must("stat -c '%U:%G %a' /run/volcrypt/control.sock") == "root:volcrypt 660\n");
  BOOST_TEST(machine.must("stat -c '%U %a' /var/lib/volcrypt") == "root 700\n");
  BOOST_TEST(machine.must("dpkg-query -W -f 'volcryptctl ${Version}\n' volcrypt") ==
             machine.must("volcryptctl --version"));
  BOOST_TEST(machine.must("dpkg-query -W -f '${Recommends}' volcrypt").find("cryptsetup-bin") != std::string::npos);
  BOOST_TEST(machine.must("dpkg-query -W -f '${Conffiles}' volcrypt").find("/etc/volcrypt/volcryptd.conf") !=
             std::string::npos);
  BOOST_TEST(machine.must("systemd-analyze verify --man=no volcryptd.service volcrypt-settle.service volcrypt.target "
                          "volcrypt-attach@dev-sda.service 2>&1") == "");
  BOOST_TEST(machine.must("dpkg --verify volcrypt | grep -v /usr/share/ || true") == "");
  // The running agent has what its unit promises: no core files, a bounded set of capabilities, nothing swapped.
  const std::string limits =
      machine.must("cat /proc/$(systemctl show -p MainPID --value volcryptd.service)/{limits,status}");
  BOOST_TEST(limits.find("Max core file size        0                    0") != std::string::npos);
  BOOST_TEST(limits.find("CapBnd:\t0000000000200003") != std::string::npos);  // SYS_ADMIN, DAC_OVERRIDE, CHOWN
  BOOST_TEST(limits.find("VmSwap:\t       0 kB") != std::string::npos);
  // No cluster yet: nothing to wait for, and the boot is not held up.
  BOOST_TEST(machine.reboot() == "running");
  BOOST_TEST(succeeds("systemctl is-active volcrypt.target"));

  // Removal with a live volume: mapping and state stay, and the package comes back to them.
  server.make_cluster(Protection::tpm);
  server.show("volcryptctl create volume data1 --device " + drive.node());
  machine.must("mkfs.ext4 -q /dev/mapper/data1 && mount /dev/mapper/data1 /mnt && echo kept >/mnt/file && sync");
  server.show("dpkg --remove volcrypt");
  BOOST_TEST(!succeeds("pgrep -x volcryptd"));
  BOOST_TEST(
      machine.must(
          "cat /mnt/file && echo more >>/mnt/file && sync -f /mnt && dmsetup info -c --noheadings -o name data1") ==
      "kept\ndata1\n");
  const std::string refusal = server.show_refusal("dpkg --purge volcrypt 2>&1");
  BOOST_TEST(refusal.find("not purged") != std::string::npos);
  BOOST_TEST(succeeds("test -n \"$(ls -A /var/lib/volcrypt)\""));
  server.install_package();
  server.await_condition("data1", "attached");
  BOOST_TEST(machine.must("cat /mnt/file") == "kept\nmore\n");

  // The volume is deleted: now the state may go, too.
  server.show("umount /mnt && volcryptctl delete volume data1 --yes");
  server.show("dpkg --purge volcrypt 2>&1");
  BOOST_TEST(!succeeds("test -e /var/lib/volcrypt"));
  BOOST_TEST(!succeeds("test -e /etc/volcrypt"));
  BOOST_TEST(!succeeds("systemctl list-unit-files 'volcrypt*' | grep volcrypt"));
  BOOST_TEST(machine.reboot() == "running");
}
