// Power that goes away under I/O, again and again, also in a rotation: everything still opens.
#include "tests/vm/mounted_volume.hpp"

using namespace volcrypt::test;

namespace {

struct Cut : MountedVolume {
  Cut() : MountedVolume("power-cuts") {}
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(ten_power_cuts_under_io_and_everything_still_opens, Cut) {
  for (int cut = 1; cut <= 10; ++cut) {
    server.machine.must(
        "systemd-run --quiet --unit=writer bash -c 'while head -c 65536 /dev/urandom "
        ">/srv/data1/w$((RANDOM%32)) && sync; do echo >>/run/written; done'");
    server.machine.eventually("[ $(wc -l </run/written) -ge 2 ]");
    // Every third cut falls into a rotation: it has begun, and nobody waited for its end.
    if (cut % 3 == 0) server.machine.must("volcryptctl rotate cluster-root-key");
    server.machine.power_cut();
    server.machine.start_without_settling();
    server.await_condition("data1", "attached", std::chrono::seconds{120});
    server.machine.eventually("mountpoint -q /srv/data1", std::chrono::seconds{60});
    expect_files();
    server.machine.eventually("volcryptctl -o json get clusterinfo | grep -q NoRotation", std::chrono::seconds{90});
  }
  // Each of the three rotations came to its end behind the cut.
  BOOST_TEST(server.ask("get volume data1").at("kekGeneration").to_number<std::int64_t>() >= 4);
  server.show("volcryptctl get clusterinfo");
  server.show("volcryptctl --passphrase-fd 3 recovery verify --recovery-file /root/recovery.json" +
              passphrase_on(3, Server::recovery_passphrase));
}
