// Drives of every kind plugged in: ours come up, others are left exactly as they are, and two copies of one drive never
// lead to the wrong one (FAILURES.md C and F: longhorn#13668, sdbootutil#195).
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

  // The journal since the mark must say why nothing was done to this drive.
  void expect_left_alone(const Drive& drive, const std::string& before, const std::string& reason) {
    machine.eventually(
        "journalctl -u volcryptd.service -u 'volcrypt-attach@*' -o cat --no-pager --since \"$(cat /run/mark)\" | grep "
        "-q '" +
        reason + "'");
    machine.must("sync");
    BOOST_TEST((content(drive) == before));
    BOOST_TEST(machine.must("lsblk -n -r -o TYPE " + drive.node()).find("crypt") == std::string::npos);
  }

  void mark() { machine.must("date '+%F %T' >/run/mark; sleep 1"); }
};

}  // namespace

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
      "systemctl stop volcryptd.service && mv /var/lib/volcrypt /root/other-cluster && rm /root/*.json && systemctl "
      "start volcryptd.service");
  server.make_cluster(Protection::tpm);
  server.show("volcryptctl create volume data1 --device " + ours.node());
  machine.must("echo -n pass | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 " + luks.node() +
               " -");
  machine.must("sync");

  for (Drive* drive : {&luks, &blank, &other}) machine.pull(*drive);
  for (const auto& [drive, reason] :
       {std::pair{&luks, "not_ours"}, std::pair{&blank, "not_ours"}, std::pair{&other, "wrong_cluster"}}) {
    const auto before = content(*drive);
    mark();
    machine.plug(*drive);
    expect_left_alone(*drive, before, reason);
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
  mark();
  machine.plug(copy);
  expect_left_alone(copy, before, "duplicate_volume");
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
