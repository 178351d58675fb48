// The bad days of the README: PCR 7 changed, TPM cleared, board replaced, server dead (FAILURES.md D: talos#10205,
// systemd#22870, systemd#20668).
#include "tests/vm/mounted_volume.hpp"

using namespace volcrypt::test;

namespace {

struct BadDay : MountedVolume {
  BadDay() : MountedVolume("bad-days") {}

  // What a firmware or dbx update does: something else is measured into PCR 7 before the agent starts.
  void change_what_is_measured() {
    server.machine.must(
        "printf "
        "'[Unit]\\nDefaultDependencies=no\\nBefore=volcryptd.service\\nAfter=dev-tpmrm0.device\\nWants=dev-tpmrm0."
        "device\\n"
        "[Service]\\nType=oneshot\\nExecStart=/usr/bin/tpm2_pcrextend -T device:/dev/tpmrm0 "
        "7:sha256=%064d\\n[Install]\\nWantedBy=sysinit.target\\n' 1 >/etc/systemd/system/measure.service && "
        "systemctl enable measure.service");
  }

  // With the bundle and the recovery key, which lie in /root.
  std::string opening(std::string_view passphrase, const std::string& options = "") const {
    return "volcryptctl --passphrase-fd 3 recovery open --device " + std::string(drive_node) + options +
           " --bundle /root/bundle.json --recovery-file /root/recovery.json" + passphrase_on(3, passphrase);
  }

  // Which names /dev/mapper may get, while the volume is attached and afterwards.
  void check_names(Machine& other) const;
};

void BadDay::check_names(Machine& other) const {
  const auto refused = [&](const std::string& name, const std::string& because) {
    const auto answer = other.run(opening(Server::recovery_passphrase, " --name " + name));
    BOOST_TEST(answer.exit_code != 0);
    BOOST_TEST(answer.err.find(because) != std::string::npos, name << ": " << answer.err);
  };
  other.must("dmsetup create taken --table '0 8 error'");
  BOOST_TEST(other.must(opening(Server::recovery_passphrase)).find("was already attached") != std::string::npos);
  refused("taken", "Choose another name with --name");
  refused("second", "already attached as data1");
  other.must("cryptsetup close data1");
  refused("taken", "Choose another name with --name");
  other.must(opening(Server::recovery_passphrase, " --name data1.rescued"));
  other.must("test -b /dev/mapper/data1.rescued && cryptsetup close data1.rescued && dmsetup remove taken");
  other.must(opening(Server::recovery_passphrase));
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_changed_boot_state_seals_out_and_its_approval_brings_the_same_volumes_back, BadDay) {
  server.show("volcryptctl node boot-state");
  change_what_is_measured();
  server.machine.reboot();
  server.await_condition("data1", "failed");
  // The boot was not held up: volumes that failed visibly are settled.
  BOOST_TEST(server.machine.must("systemctl is-active local-fs.target volcrypt.target multi-user.target") ==
             "active\nactive\nactive\n");
  BOOST_TEST(server.failed_units().find("volcrypt-attach@") != std::string::npos);
  const auto refusal = server.show_refusal("volcryptctl attach data1");
  BOOST_TEST(refusal.find("approve-boot-state") != std::string::npos);
  BOOST_TEST(server.show("volcryptctl get clusterinfo").find("Sealed out") != std::string::npos);
  BOOST_TEST(server.machine.run("test -e /dev/mapper/data1").exit_code != 0);

  server.show_refusal("volcryptctl --passphrase-fd 3 node approve-boot-state --authority-file /root/authority.json" +
                      passphrase_on(3, "not the passphrase"));
  server.show("volcryptctl --passphrase-fd 3 node approve-boot-state --authority-file /root/authority.json" +
              passphrase_on(3, Server::authority_passphrase));
  server.await_condition("data1", "attached");
  server.machine.eventually("mountpoint -q /srv/data1 || mount /srv/data1");
  expect_files();

  // From here on it boots by itself.
  server.machine.reboot();
  server.await_condition("data1", "attached");
  server.machine.eventually("mountpoint -q /srv/data1");
  expect_files();
}

BOOST_FIXTURE_TEST_CASE(a_cleared_tpm_is_named_and_recovery_opens_the_volume_without_the_agent, BadDay) {
  server.show("volcryptctl rotate cluster-root-key --wait");
  server.show("volcryptctl recovery export --output /root/bundle.json");
  server.machine.must("umount /srv/data1");
  server.show("volcryptctl detach data1");
  server.machine.must("tpm2_clear -T device:/dev/tpmrm0 -c l");
  server.machine.must("systemctl restart volcryptd.service");
  const auto refusal = server.show_refusal("volcryptctl attach data1");
  BOOST_TEST(refusal.find("cleared") != std::string::npos);
  BOOST_TEST(refusal.find("recovery open") != std::string::npos);

  // Beside the running agent, which then has the volume under its eyes.
  server.show(opening(Server::recovery_passphrase));
  BOOST_TEST(server.machine.must("journalctl --sync; journalctl -o json -t volcryptctl VOLCRYPT_VOLUME=data1")
                 .find("opened with the recovery key") != std::string::npos);
  server.await_condition("data1", "attached");
  server.machine.must("mount /dev/mapper/data1 /srv/data1");
  expect_files();
  server.machine.must("umount /srv/data1");
  server.show("volcryptctl detach data1");

  server.machine.must("systemctl stop volcryptd.service && mv /var/lib/volcrypt /root/gone");
  server.show_refusal(opening("not the passphrase"));
  server.show(opening(Server::recovery_passphrase));
  server.machine.must("mount /dev/mapper/data1 /srv/data1");
  expect_files();

  // And back into service, as the README says: a new cluster, a new volume on another drive, the files copied over.
  server.machine.plug(server.machine.new_drive("drive2"));
  server.machine.must(
      "mkdir /root/old && mv /root/authority.json /root/recovery.json /root/old && systemctl start volcryptd.service");
  server.make_cluster(Protection::tpm);
  server.show("volcryptctl create volume data2 --device /dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive2");
  server.machine.must(
      "mkfs.ext4 -q /dev/mapper/data2 && mkdir -p /srv/data2 && mount /dev/mapper/data2 /srv/data2 && "
      "cp -a /srv/data1/numbers /srv/data2/ && umount /srv/data1 && cryptsetup close data1");
  BOOST_TEST(server.machine.must(
                 "cd /srv/data2 && sed 's,/srv/data1/,,' /root/checksums | sha256sum --quiet -c && echo right") ==
             "right\n");
}

BOOST_FIXTURE_TEST_CASE(a_replaced_board_is_named_and_recovery_opens_the_volume, BadDay) {
  server.show("volcryptctl recovery export --output /root/bundle.json");
  server.machine.must("sync");
  server.machine.shutdown();
  server.machine.replace_tpm();
  server.machine.start();
  const auto refusal = server.show_refusal("volcryptctl attach data1");
  BOOST_TEST(refusal.find("cleared") != std::string::npos);
  BOOST_TEST(refusal.find("recovery open") != std::string::npos);
  server.show(opening(Server::recovery_passphrase));
  server.await_condition("data1", "attached");
  server.machine.eventually("mountpoint -q /srv/data1 || mount /srv/data1");
  expect_files();
}

BOOST_FIXTURE_TEST_CASE(a_dead_server_s_drive_opens_on_a_machine_without_agent_cluster_or_tpm, BadDay) {
  server.show("volcryptctl recovery export --output /root/bundle.json");
  const auto kept = [this](const std::string& name) { return server.machine.directory() / name; };
  for (const std::string name : {"bundle.json", "recovery.json", "checksums"})
    server.machine.fetch("/root/" + name, kept(name));
  server.machine.must("sync");
  server.machine.power_cut();

  Machine other({.name = "bad-days-other", .tpm = Tpm::none});
  other.plug(drive);
  other.start();
  for (const std::string name : {"bundle.json", "recovery.json", "checksums"}) other.put(kept(name), "/root/" + name);
  other.put(debian_package(), "/root/volcrypt.deb");
  other.must("dpkg-deb -x /root/volcrypt.deb /root/package && cp /root/package/usr/bin/volcryptctl /usr/bin");
  BOOST_TEST(other.run("ls /dev/tpm* /usr/sbin/volcryptd /var/lib/volcrypt 2>/dev/null | grep .").exit_code != 0);
  const auto refusal = other.run(opening("not the passphrase"));
  BOOST_TEST(refusal.exit_code != 0);
  BOOST_TEST(other.run("test -e /dev/mapper/data1").exit_code != 0);
  // With a header copy that died, too: repaired behind the proof, and told once.
  const std::string node(drive_node);
  other.must("printf X | dd of=" + node + " bs=1 seek=20580 conv=notrunc,fsync status=none");
  const std::string opened = other.must(opening(Server::recovery_passphrase));
  transcript.say(opened);
  check_names(other);
  BOOST_TEST(opened.find("is repaired from the other") != std::string::npos);
  BOOST_TEST(other.must(opening(Server::recovery_passphrase)).find("header copies") == std::string::npos);
  other.must("mkdir /srv/data1 && mount /dev/mapper/data1 /srv/data1");
  BOOST_TEST(other.must("sha256sum --quiet -c /root/checksums && echo right") == "right\n");
}

BOOST_FIXTURE_TEST_CASE(a_boot_state_that_was_approved_in_advance_needs_no_second_approval, BadDay) {
  // PCR 7 after the next boot: extended once more (TPM 2.0 part 1, 17.3); what is approved is the digest over it.
  const std::string next = server.machine.must(
      "pcr=$(tpm2_pcrread -T device:/dev/tpmrm0 sha256:7 | sed -n 's/.*0x//p'); "
      "raw() { perl -e 'print pack q(H*), $ARGV[0]' \"$1\"; }; "
      "after=$(raw \"$pcr$(printf %064d 1)\" | sha256sum | cut -d' ' -f1); raw $after | sha256sum | cut -d' ' -f1");
  server.show(
      "volcryptctl --passphrase-fd 3 node approve-boot-state --authority-file /root/authority.json --pcr-digest " +
      next.substr(0, 64) + passphrase_on(3, Server::authority_passphrase));
  change_what_is_measured();
  server.machine.reboot();
  server.await_condition("data1", "attached");
  server.machine.eventually("mountpoint -q /srv/data1");
  expect_files();
}
