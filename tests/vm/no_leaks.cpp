// Secrets stay out of argv, environment, journal, store, state files, cores and dm tables (DESIGN.md promise 8;
// FAILURES.md F: linuxmint/live-installer#185, rear#3485).
#include <boost/test/unit_test.hpp>
#include <iostream>
#include <string>

#include "tests/vm/server.hpp"

using namespace volcrypt::test;

namespace {

void look_for_the_dek(Protection protection) {
  Transcript transcript(std::cout);
  Server server({.name = protection == Protection::tpm ? "no-leaks-tpm" : "no-leaks-software"}, transcript);
  auto& machine = server.machine;
  auto& drive = machine.new_drive("drive1");
  machine.plug(drive);
  machine.start();
  machine.must("echo /var/lib/volcrypt/core.%e.%p >/proc/sys/kernel/core_pattern");
  server.install_package();
  server.make_cluster(protection);
  // Every command line and environment while volumes are made, attached and rotated.
  machine.must(
      "systemd-run --quiet --unit=watch bash -c 'while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ "
      ">>/root/seen 2>/dev/null; done'");
  server.show("volcryptctl create volume data1 --device " + drive.node());
  server.show("volcryptctl detach data1 && volcryptctl attach data1");
  server.show("volcryptctl rotate cluster-root-key --wait");
  server.show("volcryptctl recovery export --output /root/bundle.json");
  machine.must("systemctl stop watch.service");
  BOOST_TEST(machine.must("grep -c -a volcryptctl /root/seen || true") != "0\n");  // the watcher saw them

  const auto table = server.show("dmsetup table --showkeys data1");
  BOOST_TEST(table.find(" :64:logon:cryptsetup:") != std::string::npos);
  server.check_that_no_keyring_has_a_volume_key();

  // A crash leaves no core with keys in it.
  machine.must("kill -SEGV $(systemctl show -p MainPID --value volcryptd.service); sleep 1");
  // Another program leaves one there; its name is its own from exec on.
  machine.must(
      "bash -c 'ulimit -c unlimited; sleep 60 & until [ $(cat /proc/$!/comm) = sleep ]; do :; done; kill -SEGV $!; "
      "wait' "
      "|| true");
  BOOST_TEST(machine.must("cd /var/lib/volcrypt && ls -d core.* | cut -d. -f2") == "sleep\n");
  machine.must("rm /var/lib/volcrypt/core.*");
  machine.eventually("volcryptctl get clusterinfo >/dev/null");

  machine.put(VOLCRYPT_DEK_SEARCH, "/root/dek_search");
  machine.must("chmod 755 /root/dek_search; journalctl --sync");
  const std::string search = "/root/dek_search " + drive.node() + " /root/bundle.json /root/recovery.json ";
  const std::string passphrase = passphrase_on(3, Server::recovery_passphrase);
  // The search finds what is there ...
  const auto planted = machine.run(search + "--plant /root/planted /root/planted" + passphrase);
  BOOST_TEST(planted.exit_code == 1);
  const int spellings = std::stoi(machine.must("ls /root/planted | wc -l"));
  BOOST_TEST(spellings > 80);
  BOOST_TEST(planted.out.find(std::to_string(spellings) + " of " + std::to_string(spellings) + " files") !=
             std::string::npos);
  // ... and finds nothing where the DEK could have gone.
  machine.must("rm -r /root/planted");
  const auto clean = machine.run(search + "/var /run /etc /root /tmp " + passphrase);
  transcript.say(clean.out + clean.err);
  BOOST_TEST(clean.exit_code == 0);
  BOOST_TEST(clean.out.find("0 of ") == 0U);
  BOOST_TEST(std::stoi(clean.out.substr(5)) > 100);  // files that were read
}

}  // namespace

BOOST_AUTO_TEST_CASE(with_a_tpm_the_dek_is_in_no_file_journal_command_line_core_or_table) {
  look_for_the_dek(Protection::tpm);
}

BOOST_AUTO_TEST_CASE(in_software_mode_the_dek_is_in_no_file_journal_command_line_core_or_table) {
  look_for_the_dek(Protection::software);
}
