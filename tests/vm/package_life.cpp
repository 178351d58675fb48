// The package from installation to purge: units enabled and clean, the group, the conffile, the dependencies; removal
// leaves live volumes and the state alone; purging refuses while a volume needs the state, and deletes it when none
// does.
#include <boost/test/unit_test.hpp>
#include <iostream>
#include <iterator>
#include <set>
#include <sstream>

#include "tests/vm/server.hpp"

using namespace volcrypt::test;

namespace {

std::set<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

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

  void expect_no_trace() {
    BOOST_TEST(!succeeds("test -e /var/lib/volcrypt"));
    BOOST_TEST(!succeeds("test -e /etc/volcrypt"));
    BOOST_TEST(!succeeds("systemctl list-unit-files 'volcrypt*' | grep volcrypt"));
    BOOST_TEST(machine.must("find /etc/systemd/system /var/lib/systemd -name '*volcrypt*'") == "");
  }

  // Pages of the agent are never swapped, although the machine has swap and the kernel is asked to make use of it;
  // those of a service that does not forbid it are.
  void expect_never_swapped();

  // The unit lets the agent listen where its configuration says, and it listens nowhere else.
  void expect_port();

  // What is linked, loaded by name and run comes from packages that this one depends on. With a TPM in use.
  void expect_dependencies();
  std::set<std::string> owners_of(const std::set<std::string>& patterns);  // the packages, dpkg-query -S
};

void Installed::expect_never_swapped() {
  const std::string group = "/sys/fs/cgroup/system.slice/";
  machine.must(
      "dd if=/dev/zero of=/swap bs=1M count=64 status=none && chmod 600 /swap && mkswap -q /swap && swapon /swap");
  machine.must(
      "systemd-run --quiet --unit=swappable bash -c 'x=$(head -c 8M /dev/zero | tr \\\\0 x); touch /run/filled; "
      "sleep infinity; echo $x'");
  machine.eventually("test -e /run/filled");
  // The kernel says EAGAIN when it could not get all that was asked for.
  const auto reclaim = [&](const std::string& unit) {
    machine.run("echo 64M >" + group + unit + "/memory.reclaim");
    return std::stol(machine.must("cat " + group + unit + "/memory.swap.current"));
  };
  BOOST_TEST(machine.must("cat " + group + "volcryptd.service/memory.swap.max") == "0\n");
  BOOST_TEST(reclaim("swappable.service") > 4096 * 1024);
  BOOST_TEST(reclaim("volcryptd.service") == 0);
  const std::string status = machine.must("cat /proc/$(systemctl show -p MainPID --value volcryptd.service)/status");
  BOOST_TEST(status.find("VmSwap:\t       0 kB") != std::string::npos);
  BOOST_TEST(std::stol(status.substr(status.find("VmLck:") + 6)) >= 1024);  // its memory for secrets, main.cpp
  machine.must("systemctl stop swappable.service && swapoff /swap && rm /swap");
}

void Installed::expect_port() {
  const std::string configuration = "/etc/volcrypt/volcryptd.conf";
  const auto listen_at = [&](const std::string& addresses) {
    machine.must("sed -i 's/^\\(# \\)\\?address = .*/address = " + addresses + "/' " + configuration +
                 " && systemctl restart volcryptd.service");
  };
  const std::string listeners = "ss -H -l -t -n | awk '{ print $4 }' | sort | tr '\\n' ' '";
  BOOST_TEST(succeeds("test -f /usr/lib/firewalld/services/volcrypt.xml"));
  BOOST_TEST(machine.must(listeners) == "");
  machine.must("cp -p " + configuration + " /root/as-shipped");
  listen_at("127.0.0.1,::1");
  machine.eventually("test \"$(" + listeners + ")\" = '127.0.0.1:4007 [::1]:4007 '");
  listen_at("127.0.0.1:4008");
  machine.eventually("test \"$(" + listeners + ")\" = '127.0.0.1:4008 '");
  machine.must("mv /root/as-shipped " + configuration + " && systemctl restart volcryptd.service");
}

std::set<std::string> Installed::owners_of(const std::set<std::string>& patterns) {
  std::string line = "set -o pipefail; dpkg-query -S";
  for (const std::string& pattern : patterns) line += " '" + pattern + "'";
  return words(machine.must(line + " | sed 's/:.*//'"));
}

void Installed::expect_dependencies() {
  const std::set<std::string> declared =
      words(machine.must("dpkg-query -W -f '${Depends}' volcrypt | tr ',|' '\\n\\n' | sed 's/(.*//'"));
  const auto package = (machine.directory() / "package").string();
  run_on_host({"dpkg-deb", "-x", debian_package().string(), package});
  std::set<std::string> linked, loaded;
  for (const std::string& library :
       words(run_on_host({"sh", "-c",
                          "objdump -p " + package + "/usr/sbin/volcryptd " + package +
                              "/usr/bin/volcryptctl | awk '$1 == \"NEEDED\" { print $2 }'"})))
    linked.insert("*/" + library);
  BOOST_TEST(linked.contains("*/libcryptsetup.so.12"));  // they were read
  for (const std::string& library :
       words(machine.must("comm -13 <(ldd /usr/sbin/volcryptd | grep -o '/[^ ]*' | xargs readlink -f | sort -u) "
                          "<(grep -o '/.*\\.so.*' /proc/$(systemctl show -p MainPID --value volcryptd.service)/maps | "
                          "xargs readlink -f | sort -u)")))
    loaded.insert("*" + library.substr(library.rfind('/')));
  const auto loaded_from = owners_of(loaded);
  BOOST_TEST(loaded_from.contains("libtss2-tcti-device0"));
  // By the udev rule and the maintainer scripts; and what answers device-mapper's cookies.
  const std::set<std::string> run{"*bin/systemd-escape",
                                  "*bin/blkid",
                                  "*bin/udevadm",
                                  "*bin/systemctl",
                                  "*bin/systemd-sysusers",
                                  "*bin/deb-systemd-helper",
                                  "*bin/deb-systemd-invoke",
                                  "*/rules.d/95-dm-notify.rules"};
  const auto essential = words(machine.must("dpkg-query -W -f '${Package} ${Essential}\\n' | sed -n 's/ yes$//p'"));
  for (const auto& from : {owners_of(linked), loaded_from, owners_of(run)})
    for (const std::string& owner : from)
      BOOST_TEST((declared.contains(owner) || essential.contains(owner)), "not in Depends: " << owner);
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(the_package_installs_runs_survives_removal_and_is_purged_only_without_volumes, Installed) {
  // What it brought.
  BOOST_TEST(succeeds("systemctl is-enabled volcryptd.service volcrypt.target volcrypt-settle.service"));
  BOOST_TEST(machine.run("systemctl is-enabled volcrypt-rotate.timer").out == "disabled\n");
  BOOST_TEST(succeeds("getent group volcrypt"));
  BOOST_TEST(machine.must("stat -c '%U:%G %a' /run/volcrypt/control.sock") == "root:volcrypt 660\n");
  BOOST_TEST(machine.must("stat -c '%U %a' /var/lib/volcrypt") == "root 700\n");
  BOOST_TEST(machine.must("dpkg-query -W -f 'volcryptctl ${Version}\n' volcrypt") ==
             machine.must("volcryptctl --version"));
  BOOST_TEST(machine.must("dpkg-query -W -f '${Recommends}' volcrypt").find("cryptsetup-bin") != std::string::npos);
  BOOST_TEST(machine.must("dpkg-query -W -f '${Conffiles}' volcrypt").find("/etc/volcrypt/volcryptd.conf") !=
             std::string::npos);
  BOOST_TEST(machine.must("systemd-analyze verify --man=no volcryptd.service volcrypt-settle.service volcrypt.target "
                          "volcrypt-attach@dev-sda.service volcrypt-rotate.timer volcrypt-rotate.service 2>&1") == "");
  BOOST_TEST(machine.must("dpkg --verify volcrypt | grep -v /usr/share/ || true") == "");
  // The running agent has what its unit promises: no core files, a bounded set of capabilities, nothing swapped.
  const std::string limits =
      machine.must("cat /proc/$(systemctl show -p MainPID --value volcryptd.service)/{limits,status}");
  BOOST_TEST(limits.find("Max core file size        0                    0") != std::string::npos);
  BOOST_TEST(limits.find("CapBnd:\t0000000000200003") != std::string::npos);  // SYS_ADMIN, DAC_OVERRIDE, CHOWN
  expect_never_swapped();
  expect_port();
  // No cluster yet: nothing to wait for, and the boot is not held up.
  BOOST_TEST(machine.reboot() == "running");
  BOOST_TEST(succeeds("systemctl is-active volcrypt.target"));

  // Removal with a live volume: mapping and state stay, and the package comes back to them.
  server.make_cluster(Protection::tpm);
  expect_dependencies();
  server.show("volcryptctl create volume data1 --device " + drive.node());
  machine.must("mkfs.ext4 -q /dev/mapper/data1 && mount /dev/mapper/data1 /mnt && echo kept >/mnt/file && sync");
  // The schedule: enabled, it has its time; what it starts is a rotation.
  server.show("systemctl enable --now volcrypt-rotate.timer && systemctl list-timers --no-pager volcrypt-rotate.timer");
  BOOST_TEST(machine.must("systemctl show -p NextElapseUSecRealtime --value volcrypt-rotate.timer") != "\n");
  server.show("systemctl start volcrypt-rotate.service");
  BOOST_TEST(server.ask("get volume data1").at("kekGeneration").to_number<std::int64_t>() == 2);
  server.show("dpkg --remove volcrypt");
  BOOST_TEST(!succeeds("systemctl is-active volcrypt-rotate.timer"));
  BOOST_TEST(!succeeds("pgrep -x volcryptd"));
  BOOST_TEST(
      machine.must(
          "cat /mnt/file && echo more >>/mnt/file && sync -f /mnt && dmsetup info -c --noheadings -o name data1") ==
      "kept\ndata1\n");
  const std::string refusal = server.show_refusal("dpkg --purge volcrypt 2>&1");
  BOOST_TEST(refusal.find("not purged") != std::string::npos);
  BOOST_TEST(succeeds("test -n \"$(ls -A /var/lib/volcrypt)\""));
  server.install_package();
  BOOST_TEST(succeeds("systemctl is-active volcryptd.service volcrypt-rotate.timer"));
  server.await_condition("data1", "attached");
  BOOST_TEST(machine.must("cat /mnt/file") == "kept\nmore\n");

  // The volume is deleted: now the state may go, too.
  server.show("umount /mnt && volcryptctl delete volume data1 --yes");
  server.show("dpkg --purge volcrypt 2>&1");
  expect_no_trace();
  BOOST_TEST(machine.reboot() == "running");
}

BOOST_FIXTURE_TEST_CASE(a_package_that_never_had_a_cluster_is_purged_at_once, Installed) {
  BOOST_TEST(succeeds("test -n \"$(ls -A /var/lib/volcrypt)\""));  // it has made a store
  machine.must("systemctl stop volcryptd.service");                // nobody can be asked
  server.show("dpkg --purge volcrypt 2>&1");
  expect_no_trace();
  BOOST_TEST(!succeeds("pgrep -x volcryptd"));
}
