// See story.hpp. Each chapter is one function; each says what it will show before it shows it.
#include "tests/vm/story.hpp"

#include <algorithm>
#include <stdexcept>

namespace volcrypt::test {
namespace {

// A line that stands in the files thousands of times, and nowhere else in the machine.
constexpr std::string_view secret_line = "the quick brown fox pays 31415 thalers to Ada";

void require(bool fact, const std::string& sentence) {
  if (!fact) throw std::runtime_error("not so: " + sentence);
}

void two_volumes(Server& server, const std::vector<Drive*>& drives) {
  server.transcript().chapter("Two volumes, with file systems that /etc/fstab mounts");
  for (std::size_t i = 0; i < drives.size(); ++i) {
    const std::string name = "data" + std::to_string(i + 1);
    server.show("volcryptctl create volume " + name + " --device " + drives[i]->node());
    server.show("mkfs.ext4 -q /dev/mapper/" + name + " && mkdir -p /srv/" + name + " && echo '/dev/mapper/" + name +
                " /srv/" + name + " ext4 defaults 0 2' >>/etc/fstab && mount /srv/" + name);
    server.machine.must("for i in $(seq 8); do yes '" + std::string(secret_line) + "' | head -c 262144 >/srv/" + name +
                        "/ledger$i; done");
  }
  server.show("cd /srv && sha256sum data*/ledger* >/root/checksums && sync && wc -l </root/checksums");
  server.show("volcryptctl get volumes");
  server.show("volcryptctl get clusterinfo");
  const auto table = server.show("dmsetup table --showkeys data1");
  require(table.find(" :64:logon:cryptsetup:") != std::string::npos, "the table holds a keyring reference, no key");
}

void rotate_twice_under_writes(Server& server) {
  server.transcript().chapter("The KEK is rotated twice while files are being written");
  server.machine.must(
      "systemd-run --quiet --unit=writer bash -c 'n=0; while [ ! -e /run/stop-writing ]; do n=$((n+1)); "
      "head -c 65536 /dev/urandom >/srv/data1/w$((n%32)) && sync -f /srv/data1 || exit 1; done; "
      "echo wrote $n files'");
  for (int generation = 2; generation <= 3; ++generation) {
    server.show("volcryptctl rotate cluster-root-key --wait");
    const auto state = server.ask("get clusterinfo").at("encryptionState");
    require(state.at("currentKekGeneration").to_number<int>() == generation, "the new generation is current");
    require(state.at("previousKekGenerations").as_array().empty(), "no previous generation is left");
    require(state.at("rotationState").as_string() == "NoRotation", "the rotation is over");
  }
  server.machine.must("touch /run/stop-writing");
  server.machine.eventually("! systemctl is-active --quiet writer.service");
  require(server.machine.run("systemctl is-failed --quiet writer.service").exit_code != 0, "no write failed");
  server.show("journalctl -u writer.service -o cat --no-pager | grep wrote");
  server.show("volcryptctl get volumes");
}

void pull_and_plug(Server& server, const Drive& drive) {
  server.transcript().chapter("A drive is pulled, and plugged back in");
  server.machine.must("umount /srv/data2");
  server.machine.pull(drive);
  server.transcript().say("(the drive of data2 is pulled)");
  server.await_condition("data2", "absent");
  server.show("volcryptctl get volumes; ls /dev/mapper");
  require(server.machine.run("test -e /dev/mapper/data2").exit_code != 0, "the mapping went with the drive");
  require(server.machine.run("grep -q cryptsetup: /proc/keys").exit_code != 0, "no volume key is in a keyring");
  server.machine.plug(drive);
  server.transcript().say("(and plugged in again)");
  server.await_condition("data2", "attached");
  server.show(
      "mountpoint -q /srv/data2 || mount /srv/data2; cd /srv && sha256sum --quiet -c /root/checksums && echo all files "
      "are right");
}

void reboot(Server& server) {
  server.transcript().chapter("Reboot: volumes attach and fstab mounts them");
  server.machine.reboot();
  server.show("findmnt -n -o SOURCE,TARGET /srv/data1; findmnt -n -o SOURCE,TARGET /srv/data2");
  server.show("cd /srv && sha256sum --quiet -c /root/checksums && echo all files are right");
  server.show("systemctl is-active volcrypt.target && volcryptctl get volumes");
}

void search_the_raw_drives(Server& server, const std::vector<Drive*>& drives) {
  server.transcript().chapter("The drives, searched from outside");
  require(std::stoi(server.machine.must("echo 1 >/proc/sys/vm/drop_caches; grep -c -a '" + std::string(secret_line) +
                                        "' /dev/mapper/data1")) > 1000,
          "through the mapping the text of the files is there");
  server.machine.shutdown();
  for (const Drive* drive : drives) {
    require(drive->holds("volcrypt:data"), "the search reads the drive: the label of the header is found");
    require(!drive->holds(secret_line.substr(0, 16)), "the text of the files is not on the raw drive");
    server.transcript().say(drive->serial() + ": the header's label is found, of the files not one line");
  }
}

}  // namespace

void tell_the_story(Server& server, Protection protection) {
  const std::vector<Drive*> drives{&server.machine.new_drive("drive1"), &server.machine.new_drive("drive2")};
  for (const Drive* drive : drives) server.machine.plug(*drive);
  server.transcript().chapter("A server with a TPM and two blank drives; the package is installed");
  server.machine.start();
  server.install_package();
  server.transcript().chapter(protection == Protection::tpm ? "A cluster of one node; keys live in the TPM"
                                                            : "A cluster of one node; software encryption");
  server.make_cluster(protection);
  server.show("volcryptctl get clusterinfo");
  two_volumes(server, drives);
  rotate_twice_under_writes(server);
  pull_and_plug(server, *drives[1]);
  reboot(server);
  server.transcript().chapter("The recovery key is proved against the present blobs");
  server.show("volcryptctl --passphrase-fd 3 recovery verify --recovery-file /root/recovery.json" +
              passphrase_on(3, Server::recovery_passphrase));
  search_the_raw_drives(server, drives);
}

}  // namespace volcrypt::test
