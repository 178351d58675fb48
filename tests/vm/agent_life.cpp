// The agent dies, is upgraded, comes back: live mappings and their I/O never notice (DESIGN.md promise 5; FAILURES.md
// E, longhorn#9385, rook#14563).
#include <boost/test/unit_test.hpp>
#include <iostream>

#include "tests/vm/server.hpp"

using namespace volcrypt::test;
using namespace std::chrono_literals;

namespace {

struct Busy {
  Transcript transcript{std::cout};
  Server server{{.name = "agent-life"}, transcript};
  Drive& drive = server.machine.new_drive("drive1");

  Busy() {
    server.machine.plug(drive);
    server.machine.start();
    server.install_package();
    server.make_cluster(Protection::tpm);
    server.show("volcryptctl create volume data1 --device " + std::string(drive_node));
    server.machine.must("mkfs.ext4 -q /dev/mapper/data1 && mkdir -p /srv/data1 && mount /dev/mapper/data1 /srv/data1");
    server.machine.must(
        "systemd-run --quiet --unit=writer bash -c 'n=0; while [ ! -e /run/stop-writing ]; do n=$((n+1)); "
        "head -c 65536 /dev/urandom >/srv/data1/w$((n%32)) && sync -f /srv/data1 || exit 1; echo $n >/run/written; "
        "done'");
    server.machine.eventually("test -s /run/written");
  }

  static constexpr std::string_view drive_node = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive1";

  // Device numbers tell one mapping from another of the same name.
  std::string mapping() { return server.machine.must("dmsetup info -c --noheadings -o name,major,minor,uuid data1"); }

  std::string process() {
    return server.machine.must("printf %s $(systemctl show -p MainPID --value volcryptd.service)");
  }

  int written() { return std::stoi(server.machine.must("cat /run/written")); }

  void expect_undisturbed(const std::string& before, int written_before) {
    BOOST_TEST(mapping() == before);
    server.machine.eventually("test $(cat /run/written) -gt " + std::to_string(written_before));
    BOOST_TEST(server.machine.run("systemctl is-active --quiet writer.service").exit_code == 0);
    BOOST_TEST(server.condition("data1") == "attached");
    BOOST_TEST(server.machine.must("journalctl -k -b --no-pager | grep -ciE 'I/O error|aborting journal' || true") ==
               "0\n");
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_killed_stopped_or_upgraded_agent_leaves_io_and_mapping_alone_and_adopts_them, Busy) {
  const auto before = mapping();

  auto progress = written();
  server.show("kill -9 $(systemctl show -p MainPID --value volcryptd.service)");
  server.machine.eventually("systemctl is-active --quiet volcryptd.service && volcryptctl get clusterinfo >/dev/null");
  expect_undisturbed(before, progress);

  progress = written();
  server.show("systemctl stop volcryptd.service");
  BOOST_TEST(mapping() == before);
  BOOST_TEST(server.show_refusal("volcryptctl get volumes").find("volcryptd") != std::string::npos);
  server.show("systemctl start volcryptd.service");
  expect_undisturbed(before, progress);

  // One that hangs is found by systemd (WatchdogSec=), ended and started again.
  progress = written();
  const auto hung = process();
  server.show("kill -STOP " + hung);
  server.machine.eventually("test $(systemctl show -p MainPID --value volcryptd.service) != " + hung, 150s);
  server.machine.eventually("systemctl is-active --quiet volcryptd.service && volcryptctl get clusterinfo >/dev/null");
  BOOST_TEST(server.machine.run("journalctl -b -u volcryptd.service --no-pager | grep -qi watchdog").exit_code == 0);
  expect_undisturbed(before, progress);

  progress = written();
  server.machine.must(
      "cd /root && dpkg-deb -R volcrypt.deb new && sed -i 's/^Version: .*/Version: 99.0.0/' new/DEBIAN/control && "
      "dpkg-deb -Znone -b new volcrypt-new.deb");
  const auto old = process();
  server.show("dpkg -i /root/volcrypt-new.deb 2>&1 | tail -n 3; dpkg-query -W volcrypt");
  server.machine.eventually("systemctl is-active --quiet volcryptd.service && volcryptctl get clusterinfo >/dev/null");
  BOOST_TEST(process() != old);
  expect_undisturbed(before, progress);

  server.show("volcryptctl rotate cluster-root-key --wait");
  server.machine.must("touch /run/stop-writing");
  server.machine.eventually("! systemctl is-active --quiet writer.service");
  BOOST_TEST(server.machine.run("systemctl is-failed --quiet writer.service").exit_code != 0);
}

BOOST_FIXTURE_TEST_CASE(the_journal_has_one_line_per_event_and_a_drive_whose_going_was_not_heard_is_found_out, Busy) {
  server.machine.must("touch /run/stop-writing");
  server.machine.eventually("! systemctl is-active --quiet writer.service");
  server.machine.must("umount /srv/data1");
  server.show("volcryptctl detach data1 && volcryptctl attach data1 && journalctl --sync");
  const auto lines = server.machine.must(
      "journalctl -b -o json --no-pager _SYSTEMD_UNIT=volcryptd.service VOLCRYPT_VOLUME=data1 PRIORITY=6");
  BOOST_TEST(lines.find("\"VOLCRYPT_DEVICE\":\"/dev/sd") != std::string::npos);
  BOOST_TEST(lines.find("\"MESSAGE\":\"attached volume=data1 device=/dev/sd") != std::string::npos);

  // More events than the agent's socket holds, while it does not listen: the drive's going is not among those it hears.
  server.machine.must("systemd-analyze service-watchdogs no && systemctl kill -s STOP volcryptd.service");
  server.machine.must(
      "modprobe brd rd_nr=64 rd_size=64 && for i in 1 2 3 4; do udevadm trigger --subsystem-match=block; done && "
      "udevadm settle");
  server.machine.pull(drive);
  server.machine.must("udevadm settle && systemctl kill -s CONT volcryptd.service");
  server.machine.eventually("! dmsetup info data1 >/dev/null 2>&1");
  server.machine.must("journalctl --sync");
  BOOST_TEST(server.machine.must("journalctl -b -u volcryptd.service -o cat --no-pager")
                 .find("more drives came or went at once than udev could tell") != std::string::npos);
  server.machine.plug(drive);
  server.await_condition("data1", "attached");
}
