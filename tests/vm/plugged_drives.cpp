// Drives of every kind plugged in and pulled: ours come up, also after they were pulled in use; others are left exactly
// as they are, and two copies of one drive never lead to the wrong one (FAILURES.md C and F: longhorn#13668,
// sdbootutil#195).
#include <array>
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iostream>
#include <iterator>

#include "tests/vm/server.hpp"

using namespace volcrypt::test;

namespace {

std::string content(const Drive& drive) {
  std::ifstream file(drive.file(), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Fleet {
  Transcript transcript{std::cout};
  Server server{{.name = "plugged-drives"}, transcript};
  Machine& machine = server.machine;

  Drive& add(const std::string& serial) {
    auto& drive = machine.new_drive(serial, {.mebibytes = 24});
    machine.plug(drive);
    return drive;
  }

  // The place in the journal to read on from, exact to the entry.
  std::string cursor() {
    return machine.must(
        "journalctl --sync && journalctl -n 1 -o cat --no-pager --show-cursor | sed -n 's/^-- cursor: //p' | grep .");
  }

  // The journal since then must say why nothing was done to this very drive.
  void expect_left_alone(const Drive& drive, const std::string& before, const std::string& reason,
                         const std::string& since) {
    machine.eventually(journal(since) + " | grep ' volcryptd\\[' | grep -wF \"$(readlink -f " + drive.node() +
                       ")\" | grep -w " + reason +
                       " || { journalctl -b --no-pager -u volcryptd.service | tail -n 20; false; }");
    machine.must("sync");
    BOOST_TEST((content(drive) == before));
    BOOST_TEST(machine.must("lsblk -n -r -o TYPE " + drive.node()).find("crypt") == std::string::npos);
  }

  // What udev has told systemd to start for the drive; the drive's attach unit; what systemd has said of that unit.
  std::string wanted(const Drive& drive) {
    return machine.must("udevadm settle && printf %s \"$(udevadm info -q property -n " + drive.node() +
                        " | sed -n 's/^SYSTEMD_WANTS=//p')\"");
  }
  std::string attach_unit(const Drive& drive) {
    return machine.must("printf %s \"$(systemd-escape --path --template=volcrypt-attach@.service $(readlink -f " +
                        drive.node() + "))\"");
  }
  std::string attach_runs(const Drive& drive, const std::string& since) {
    return machine.must("journalctl --sync; " + journal(since) + " | grep ' systemd\\[1\\]: ' | grep -F '" +
                        attach_unit(drive) + "' || true");
  }

  // Without a filter: with one, journalctl of systemd 252 leaves out the first line after a cursor.
  static std::string journal(const std::string& since) {
    return "journalctl -q --no-pager --after-cursor='" + since.substr(0, since.find('\n')) + "'";
  }
};

}  // namespace

// One machine for both: making volumes is what takes the time here.
BOOST_FIXTURE_TEST_CASE(twenty_volumes_attach_and_mount_at_boot_and_with_a_hundred_the_idle_daemon_stays_small, Fleet) {
  const auto drives = [&](int first, int last) {
    for (int i = first; i <= last; ++i) add("drive" + std::to_string(i));
  };
  const auto create = [&](int first, int last, const std::string& then) {
    machine.must(Command{.line = "set -e; for i in $(seq " + std::to_string(first) + " " + std::to_string(last) +
                                 "); do volcryptctl create volume v$i --device "
                                 "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive$i; " +
                                 then + " done",
                         .input = {},
                         .deadline = std::chrono::seconds{1500}});  // some seconds each, beside other work
  };
  drives(1, 20);
  machine.start();
  server.install_package();
  server.make_cluster(Protection::tpm);
  create(1, 20,
         "mkfs.ext2 -q /dev/mapper/v$i; mkdir -p /srv/v$i; echo \"/dev/mapper/v$i /srv/v$i ext2 "
         "defaults,x-systemd.device-timeout=300 0 0\" >>/etc/fstab;");
  machine.reboot();
  BOOST_TEST(machine.must("findmnt -n -t ext2 | grep -c /dev/mapper/v") == "20\n");
  BOOST_TEST(machine.must("systemctl is-active volcrypt.target") == "active\n");
  BOOST_TEST(server.failed_units() == "");
  server.show("volcryptctl get volumes");
  BOOST_TEST(server.ask("get volumes").at("volumes").as_array().size() == 20u);

  drives(21, 100);
  machine.must("udevadm settle --timeout 300");
  create(21, 100, "");
  machine.must("systemctl restart volcryptd.service && sleep 5");  // it adopts them
  BOOST_TEST(server.ask("get volumes").at("volumes").as_array().size() == 100U);
  BOOST_TEST(machine.must("volcryptctl get volumes | grep -c ' attached '") == "100\n");
  server.show("grep -E 'VmRSS|VmLck' /proc/$(systemctl show -p MainPID --value volcryptd.service)/status");
  const long kibibytes = server.resident_kibibytes();
  BOOST_TEST(kibibytes > 1024);  // it was read
  BOOST_TEST(kibibytes < 32 * 1024);
}

BOOST_FIXTURE_TEST_CASE(a_drive_that_is_not_this_clusters_is_left_alone_and_the_journal_says_why, Fleet) {
  auto& ours = add("ours");
  auto& luks = add("luks");
  auto& blank = add("blank");
  auto& other = add("other");
  machine.start();
  server.install_package();
  // Another cluster, made in the same machine by a second agent with a state of its own.
  machine.must("systemctl stop volcryptd.service && volcryptd --help >/dev/null");
  server.show("systemctl start volcryptd.service");
  server.make_cluster(Protection::software);
  server.show("volcryptctl create volume theirs --device " + other.node() + " && volcryptctl detach theirs");
  machine.must(
      "systemctl stop volcryptd.service && mv /var/lib/volcrypt /root/other-cluster && rm /root/*.json "
      "/run/volcrypt/detached && systemctl "
      "start volcryptd.service");
  server.make_cluster(Protection::tpm);
  server.show("volcryptctl create volume data1 --device " + ours.node());
  machine.must("echo -n pass | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 " + luks.node() +
               " -");
  machine.must("sync");

  struct Foreign {
    Drive& drive;
    std::string reason, before = {}, plugged = {};
  };
  std::array<Foreign, 3> foreign{{{luks, "not_ours"}, {blank, "not_ours"}, {other, "wrong_cluster"}}};
  for (const auto& each : foreign) machine.pull(each.drive);
  for (auto& each : foreign) {
    each.before = content(each.drive);
    each.plugged = cursor();
    machine.plug(each.drive);
    expect_left_alone(each.drive, each.before, each.reason, each.plugged);
  }
  BOOST_TEST(server.condition("data1") == "attached");
  // The rule matches our headers alone, whosever they are.
  BOOST_TEST(wanted(luks) == "");
  BOOST_TEST(wanted(blank) == "");
  BOOST_TEST(wanted(other) == attach_unit(other));
  machine.eventually("systemctl is-failed " + attach_unit(other));

  // An agent that starts looks at all of them, and says so of each.
  const auto restarted = cursor();
  machine.must("systemctl restart volcryptd.service");
  for (const auto& each : foreign) expect_left_alone(each.drive, each.before, each.reason, restarted);
  // Nothing has come late either.
  for (const auto& each : foreign) {
    BOOST_TEST((content(each.drive) == each.before));
    const auto runs = attach_runs(each.drive, each.plugged);
    BOOST_TEST(runs.empty() == (&each.drive != &other), runs);
  }
  BOOST_TEST(server.condition("data1") == "attached");
}

BOOST_FIXTURE_TEST_CASE(of_two_copies_of_one_drive_the_one_in_use_stays_and_the_other_is_never_touched, Fleet) {
  auto& original = add("original");
  machine.start();
  server.install_package();
  server.make_cluster(Protection::tpm);
  server.show("volcryptctl create volume data1 --device " + original.node());
  machine.must("echo marker | dd of=/dev/mapper/data1 conv=fsync status=none");
  machine.shutdown();
  auto& copy = machine.copy_drive(original, "copy");
  machine.start();
  const auto table = machine.must("dmsetup table data1");
  const auto before = content(copy);
  const auto plugged = cursor();
  machine.plug(copy);
  expect_left_alone(copy, before, "duplicate_volume", plugged);
  BOOST_TEST(machine.must("dmsetup table data1") == table);
  server.show("volcryptctl rotate cluster-root-key --wait");  // the one in use is rewrapped
  BOOST_TEST(server.ask("get volume data1").at("kekGeneration").to_number<std::int64_t>() == 2);
  BOOST_TEST((content(copy) == before));

  // At a boot with both, which one is meant cannot be known: neither is touched until the operator says.
  machine.shutdown();
  const auto copy_before = content(copy);
  const auto original_before = content(original);
  machine.start();
  server.await_condition("data1", "failed");
  BOOST_TEST(server.show_refusal("volcryptctl attach data1").find("--device") != std::string::npos);
  machine.must("sync");
  BOOST_TEST((content(copy) == copy_before));
  BOOST_TEST((content(original) == original_before));
  server.show("volcryptctl attach data1 --device " + original.node());
  BOOST_TEST(machine.must("head -c 6 /dev/mapper/data1") == "marker");
}

BOOST_FIXTURE_TEST_CASE(a_drive_pulled_in_use_ends_its_io_and_gives_up_its_key_and_comes_back_with_what_was_synced,
                        Fleet) {
  auto& pulled = add("pulled");
  auto& beside = add("beside");
  machine.start();
  server.install_package();
  server.make_cluster(Protection::software);
  for (const auto& [name, drive] : {std::pair{"data1", &pulled}, std::pair{"data2", &beside}}) {
    const std::string volume = name;
    server.show("volcryptctl create volume " + volume + " --device " + drive->node());
    machine.must("mkfs.ext4 -q /dev/mapper/" + volume + " && mkdir -p /srv/" + volume + " && mount /dev/mapper/" +
                 volume + " /srv/" + volume + " && seq 100000 >/srv/" + volume + "/numbers");
  }
  machine.must("sync && sha256sum /srv/data1/numbers >/root/checksums && sync");
  const auto data2 = machine.must("dmsetup info -c --noheadings -o name,major,minor,uuid data2");
  machine.must(
      "systemd-run --quiet --unit=writer bash -c 'n=0; while [ ! -e /run/stop-writing ]; do n=$((n+1)); "
      "head -c 65536 /dev/urandom >/srv/data2/w$((n%8)) && sync -f /srv/data2 || exit 1; echo $n >/run/written; done'");

  // dm-crypt's targets, each with its key.
  const std::string crypt_targets = "cat /sys/module/dm_crypt/refcnt";
  // Twice: the drive comes back when its old mapping has gone, and while somebody still holds that.
  for (const bool returns_early : {false, true}) {
    // A file is open all the while; its writer goes on until a write fails.
    machine.must(
        "rm -f /run/refused && systemd-run --quiet --unit=holder bash -c 'exec 3>/srv/data1/open; "
        "while dd if=/dev/zero bs=4096 count=1 conv=fsync,notrunc status=none >&3; do sleep 0.1; done; "
        "touch /run/refused; exec sleep infinity'");
    machine.eventually("test $(stat -c %s /srv/data1/open) -gt 8192");
    BOOST_TEST(machine.must(crypt_targets) == "2\n");
    machine.pull(pulled);
    server.transcript().say("(the drive of data1 is pulled while a file on it is being written)");

    // I/O under way ends, and so does what comes later; nothing hangs. The mapping leads nowhere, and the target that
    // held the key is destroyed.
    machine.eventually("test -e /run/refused");
    machine.eventually("dmsetup table --showkeys data1 | grep -x '0 [0-9]* error *'");
    machine.eventually(crypt_targets + " | grep -x 1");
    for (const std::string read : {"/srv/data1/numbers", "/dev/mapper/data1"}) {
      const auto outcome = machine.run("echo 3 >/proc/sys/vm/drop_caches; timeout 30 dd if=" + read +
                                       " iflag=direct of=/dev/null bs=4096");
      BOOST_TEST(outcome.exit_code == 1, read << ": " << outcome.exit_code << outcome.err);
    }
    BOOST_TEST(machine.run("timeout 30 sync -f /srv/data1").exit_code != 124);
    server.check_that_no_keyring_has_a_volume_key();
    server.await_condition("data1", "failed");
    // The other volume has noticed nothing.
    machine.eventually("before=$(cat /run/written); sleep 1; test $(cat /run/written) -gt $before");
    BOOST_TEST(machine.must("dmsetup info -c --noheadings -o name,major,minor,uuid data2") == data2);
    BOOST_TEST(server.condition("data2") == "attached");

    if (returns_early) {
      machine.plug(pulled);
      machine.eventually("volcryptctl get volume data1 | grep 'the drive is attached when its last user has gone'");
    }
    machine.must("umount -l /srv/data1 && systemctl stop holder.service");
    if (!returns_early) {
      machine.eventually("! test -e /dev/mapper/data1");
      machine.plug(pulled);
    }
    server.await_condition("data1", "attached");
    machine.must("mount /dev/mapper/data1 /srv/data1");
    BOOST_TEST(machine.must("sha256sum --quiet -c /root/checksums && echo right") == "right\n");
  }
  machine.must("touch /run/stop-writing");
  machine.eventually("! systemctl is-active --quiet writer.service");
  BOOST_TEST(machine.run("systemctl is-failed --quiet writer.service").exit_code != 0);
}
