// DmDevices keeps the promises of Devices on real drives, with a real kernel and udev.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/support/vm_machine.hpp"

using namespace volcrypt::test;

BOOST_AUTO_TEST_CASE(real_drives_keep_the_promises_of_devices) {
  Machine machine({.name = "devices"});
  const Drive& blank = machine.new_drive("blank");
  const Drive& other = machine.new_drive("other");
  machine.plug(blank);
  machine.plug(other);
  BOOST_TEST(machine.start() == "running");
  // A scan finds drives by what our rule leaves in udev's database; the package is not installed here.
  machine.put(VOLCRYPT_UDEV_RULES, "/etc/udev/rules.d/65-volcrypt.rules");
  machine.must("udevadm control --reload");
  machine.put(VOLCRYPT_GUEST_DEVICES, "/root/guest_devices");
  const Outcome outcome = machine.run(Command{
      .line = "chmod +x /root/guest_devices && mkdir -p -m 0700 /run/cryptsetup && /root/guest_devices $(readlink -f " +
              blank.node() + ") $(readlink -f " + other.node() + ") 2>&1",
      .input = {},
      .deadline = std::chrono::minutes(3)});
  BOOST_TEST_MESSAGE(outcome.out);
  BOOST_TEST(outcome.exit_code == 0, outcome.out);
  BOOST_TEST(outcome.out.find("every promise kept") != std::string::npos);
  BOOST_TEST(machine.must("dmsetup ls").find("No devices found") != std::string::npos);
}
