// The bad days of the README: PCR 7 changed, TPM cleared, power cut again and again (FAILURES.md D: talos#10205,
// systemd#22870, systemd#20668).
#include <boost/test/unit_test.hpp>
#include <iostream>

#include "tests/vm/server.hpp"

using namespace volcrypt::test;

namespace {

constexpr std::string_view drive_node = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive1";

struct WithVolume {
  Transcript transcript{std::cout};
  Server server{{.name = "bad-days"}, transcript};

  WithVolume() {
    server.machine.plug(server.machine.new_drive("drive1"));
    server.machine.start();
    server.install_package();
    server.make_cluster(Protection::tpm);
    server.show("volcryptctl create volume data1 --device " + std::string(drive_node));
    server.machine.must(
        "mkfs.ext4 -q /dev/mapper/data1 && mkdir -p /srv/data1 && "
        "echo '/dev/mapper/data1 /srv/data1 ext4 defaults,nofail,x-systemd.device-timeout=60 0 2' >>/etc/fstab && "
        "systemctl daemon-reload && mount /srv/data1 && seq 100000 >/srv/data1/numbers && sync && "
        "sha256sum /srv/data1/numbers >/root/checksums && sync");
  }

  void expect_files() {
    BOOST_TEST(server.machine.must("sha256sum --quiet -c /root/checksums && echo right") == "right\n");
  }

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
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_changed_boot_state_seals_out_and_its_approval_brings_the_same_volumes_back, WithVolume) {
  server.show("volcryptctl node boot-state");
  change_what_is_measured();
  server.machine.reboot();
  server.await_condition("data1", "failed");
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

BOOST_FIXTURE_TEST_CASE(a_cleared_tpm_is_named_and_recovery_opens_the_volume_without_the_agent, WithVolume) {
  server.show("volcryptctl rotate cluster-root-key --wait");
  server.show("volcryptctl recovery export --output /root/bundle.json");
  server.machine.must("umount /srv/data1");
  server.show("volcryptctl detach data1");
  server.machine.must("tpm2_clear -T device:/dev/tpmrm0 -c l");
  server.machine.must("systemctl restart volcryptd.service");
  const auto refusal = server.show_refusal("volcryptctl attach data1");
  BOOST_TEST(refusal.find("cleared") != std::string::npos);
  BOOST_TEST(refusal.find("recovery open") != std::string::npos);

  server.machine.must("systemctl stop volcryptd.service && mv /var/lib/volcrypt /root/gone");
  server.show_refusal("volcryptctl --passphrase-fd 3 recovery open --device " + std::string(drive_node) +
                      " --bundle /root/bundle.json --recovery-file /root/recovery.json" +
                      passphrase_on(3, "not the passphrase"));
  server.show("volcryptctl --passphrase-fd 3 recovery open --device " + std::string(drive_node) +
              " --bundle /root/bundle.json --recovery-file /root/recovery.json" +
              passphrase_on(3, Server::recovery_passphrase));
  server.machine.must("mount /dev/mapper/data1 /srv/data1");
  expect_files();
}

BOOST_FIXTURE_TEST_CASE(ten_power_cuts_under_io_and_everything_still_opens, WithVolume) {
  for (int cut = 1; cut <= 10; ++cut) {
    server.machine.must(
        "systemd-run --quiet --unit=writer$RANDOM bash -c 'while head -c 65536 /dev/urandom "
        ">/srv/data1/w$((RANDOM%32)); do sync; done'");
    // Every third cut falls into a rotation.
    if (cut % 3 == 0) server.machine.must("systemd-run --quiet volcryptctl rotate cluster-root-key");
    server.machine.power_cut();
    server.machine.start_without_settling();
    server.await_condition("data1", "attached", std::chrono::seconds{120});
    server.machine.eventually("mountpoint -q /srv/data1", std::chrono::seconds{60});
    expect_files();
  }
  server.machine.eventually("volcryptctl -o json get clusterinfo | grep -q NoRotation", std::chrono::seconds{90});
  server.show("volcryptctl get clusterinfo");
  server.show("volcryptctl --passphrase-fd 3 recovery verify --recovery-file /root/recovery.json" +
              passphrase_on(3, Server::recovery_passphrase));
}
