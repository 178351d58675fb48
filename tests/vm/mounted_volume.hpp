// A server with one volume, data1, with a file system that fstab mounts and a file whose checksum is known: what the
// tests of bad days and power cuts start from.
#pragma once

#include <boost/test/unit_test.hpp>
#include <iostream>
#include <string>
#include <string_view>

#include "tests/vm/server.hpp"

namespace volcrypt::test {

struct MountedVolume {
  static constexpr std::string_view drive_node = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive1";

  Transcript transcript{std::cout};
  Server server;
  Drive& drive;

  explicit MountedVolume(const std::string& machine)
      : server({.name = machine}, transcript), drive(server.machine.new_drive("drive1")) {
    server.machine.plug(drive);
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
};

}  // namespace volcrypt::test
