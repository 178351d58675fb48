// What the vm tier takes for granted, proved without volcrypt: a TPM 2.0 in the kernel, device-mapper with dm-crypt,
// drives that come and go, power cuts that lose nothing that was flushed, a TPM that stays itself over them. One
// machine, three boots.
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "tests/support/vm_machine.hpp"

using namespace volcrypt::test;

namespace {

std::string line(std::string text) {
  text.erase(text.find_last_not_of('\n') + 1);
  return text;
}

// Nothing secret: the key of a mapping that exists for this test only.
const std::string key_file = "head -c 64 /dev/zero | tr '\\0' k";

std::string open_crypt(const Drive& drive) {
  return key_file + " | cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 512 --key-file - " +
         drive.node() + " crypt";
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_machine_boots_with_a_tpm_and_drives_come_and_go) {
  Machine machine({.name = "harness"});
  BOOST_TEST(machine.start() == "running");

  // The kernel's resource manager, and a chip that answers.
  BOOST_TEST(line(machine.must("stat -c %F /dev/tpmrm0")) == "character special file");
  BOOST_TEST(machine.must("tpm2_getcap properties-fixed").find("value: \"2.0\"") != std::string::npos);
  machine.must(
      "tpm2_createprimary -Q -C o -c /root/primary.ctx && tpm2_evictcontrol -Q -C o -c /root/primary.ctx 0x81010001");
  const std::string chip = machine.must("tpm2_readpublic -c 0x81010001 -f pem -o /dev/stdout");

  // Commands: exit code, both outputs, input, deadline.
  const Outcome outcome =
      machine.run(Command{.line = "cat; echo problem >&2; exit 7", .input = std::string("a\0b\n", 4)});
  BOOST_TEST(outcome.exit_code == 7);
  BOOST_TEST(outcome.out == std::string("a\0b\n", 4));
  BOOST_TEST(outcome.err == "problem\n");
  BOOST_CHECK_THROW(machine.must("exit 3"), std::runtime_error);
  BOOST_CHECK_THROW(machine.run(Command{.line = "sleep 60", .input = {}, .deadline = std::chrono::seconds(1)}),
                    TimedOut);
  BOOST_TEST(line(machine.must("echo still there")) == "still there");

  // A hot-plugged drive under dm-crypt: the text is there inside, and nowhere outside.
  Drive& drive = machine.new_drive("HOT1", {.mebibytes = 32});
  machine.plug(drive);
  machine.eventually("test -b " + drive.node());
  machine.must(open_crypt(drive));
  BOOST_TEST(line(machine.must("dmsetup table crypt | cut -d' ' -f3")) == "crypt");
  machine.must(
      "mkfs.ext4 -q /dev/mapper/crypt && mount /dev/mapper/crypt /mnt && yes 'text that must not be seen' | head -c "
      "100000 >/mnt/f && sync");
  const std::string sum = machine.must("sha256sum /mnt/f");
  BOOST_TEST(!drive.holds("text that must not be seen"));
  machine.must("umount /mnt && cryptsetup close crypt && echo 'text in the clear' | dd of=" + drive.node() +
               " seek=60000 conv=fsync status=none");
  BOOST_TEST(drive.holds("text in the clear"));

  // Pulled: gone for the guest at once, and the same drive again when it comes back.
  machine.pull(drive);
  machine.eventually("! test -e " + drive.node());
  machine.plug(drive);
  machine.eventually("test -b " + drive.node());

  // Files both ways.
  const auto file = machine.directory() / "file";
  std::ofstream(file) << "from the host\n";
  machine.put(file, "/root/file");
  BOOST_TEST(machine.must("cat /root/file") == "from the host\n");
  machine.fetch("/etc/hostname", file);
  BOOST_TEST(std::filesystem::file_size(file) == 3U);

  // A power cut: what was flushed is there, what systemd would have stopped was not stopped, the chip is the same.
  machine.must("echo kept >/root/kept && sync");
  machine.power_cut();
  BOOST_TEST(!machine.running());
  BOOST_CHECK_THROW(machine.run("true"), std::runtime_error);
  BOOST_TEST(machine.start() == "running");
  BOOST_TEST(line(machine.must("cat /root/kept")) == "kept");
  BOOST_TEST(machine.must("tpm2_readpublic -c 0x81010001 -f pem -o /dev/stdout") == chip);
  machine.must(open_crypt(drive) + " && mount /dev/mapper/crypt /mnt");
  BOOST_TEST(machine.must("sha256sum /mnt/f") == sum);
  BOOST_TEST(line(machine.must("journalctl --list-boots | grep -c '^ *-*[0-9]'")) == "2");

  // An orderly end, and another board: the drive stays, the chip's keys are gone.
  machine.shutdown();
  machine.replace_tpm();
  BOOST_TEST(machine.start() == "running");
  BOOST_TEST(machine.run("tpm2_readpublic -c 0x81010001").exit_code != 0);
  machine.must("test -b " + drive.node());
}
