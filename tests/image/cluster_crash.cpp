// `cluster init` and enabling, failing or cut off at every write, fsync, rename, unlink and mkdir of node key,
// approvals, pin, node record, store, KEK and recovery blob. After each the operator repeats the command and gets
// there; what was left half done has no say, and the number of an enabling that came to nothing is destroyed and never
// used again. (FAILURES A: NixOS/nixpkgs#210329, vault#23073; B: nomad#27581; linstor-server#137.)
#include <fstream>

#include "tests/support/crashed_node.hpp"

namespace volcrypt::test {

namespace {

using cluster::Generation;
using Names = std::map<Generation, Bytes>;

// A node that has come as far as `make` takes it, and the administrators who take it on from there.
struct Making {
  Administrators administrators;
  ScratchDirectory mail;
  std::string letter = mail.path("letter");  // what volcryptctl sends
  Prepared prepared;

  template <class Make>
  explicit Making(Make make)
      : prepared([&](const std::string& directory) {
          TestNode node(directory, std::make_shared<FileDevices>(), TestNode::Without::leave);
          make(*this, node);
        }) {}

  void send(const std::string& text) const { std::ofstream(letter, std::ios::binary) << text; }
  template <class Check>
  void fail_everywhere(const std::string& verb, Check check) const {
    at_every_step(prepared, {VOLCRYPT_CLUSTER_SCENARIO, prepared.used, verb, letter}, check);
  }
};

// The node in the next process; no drive is plugged.
struct Again {
  std::string directory;
  std::unique_ptr<TestNode> node;

  explicit Again(std::string where) : directory(std::move(where)) { restart(); }
  void restart() {
    node.reset();
    node = std::make_unique<TestNode>(directory, std::make_shared<FileDevices>(), TestNode::Without::leave);
    node->start();
    BOOST_TEST(node->come_to_rest());
  }
  bool is_cluster() { return node->await(node->cluster.membership()).has_value(); }
};

// Whatever is there is one whole cluster, and the node knows itself in it.
void check_member(Again& again, const Administrators& administrators) {
  const auto info = again.node->await(again.node->cluster.info());
  BOOST_REQUIRE(info.membership.has_value());
  BOOST_TEST((info.membership->cluster == administrators.cluster));
  BOOST_TEST((info.membership->members.front().node == again.node->member.id()));
  const auto pinned = again.node->await(again.node->pin.read());
  BOOST_TEST((pinned && pinned->pin.cluster == administrators.cluster));
  BOOST_TEST(again.node->volumes.member_of_cluster());
}

// One KEK, current, on disk, in the store and for the recovery key; and a volume opens under it after a restart.
void check_enabled(Again& again, const Names& seen) {
  const cluster::EncryptionState state = again.node->state();
  BOOST_TEST((state.phase == cluster::EncryptionPhase::Enabled));
  BOOST_TEST(state.retiring.empty());
  const Names names = KeysOnDisk(again.directory).names();
  BOOST_TEST(names.size() == 1U);
  BOOST_TEST(names.contains(state.current));
  for (const auto& [number, name] : seen) {
    BOOST_TEST(number <= state.highest_used);
    BOOST_TEST((number != state.current || name == names.at(number)));
  }
  const auto blobs = again.node->await(again.node->member.recovery_blobs());
  BOOST_TEST((blobs.size() == 1 && blobs.front().generation == state.current));
  const std::string beside = again.directory + "/recovery/" + std::to_string(state.current) + ".json";
  BOOST_TEST(std::filesystem::exists(beside));
}

void check_that_a_volume_can_be_made(Again& again) {
  const std::string drive = make_drive(again.directory, "vdb");
  again.node->devices->plug(drive);
  again.node->create("vdb", drive);
  BOOST_TEST(KeysOnDisk(again.directory).open(drive) == again.node->state().current);
}

void repeat_all(Again& again, const Administrators& administrators, const Names& seen) {
  again.node->become_cluster(administrators);
  again.restart();
  check_member(again, administrators);
  again.node->enable();
  BOOST_TEST(again.node->come_to_rest());
  check_enabled(again, seen);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cluster_crash)

BOOST_AUTO_TEST_CASE(keys_of_a_node_that_fail_anywhere_can_be_made_again) {
  const Making making([](Making& self, TestNode&) {
    self.send(to_json(NodeRecord{self.administrators.request(), std::nullopt}));
  });
  making.fail_everywhere("enrol", [&](int) {
    Again again(making.prepared.used);
    BOOST_TEST(!again.is_cluster());
    repeat_all(again, making.administrators, {});
  });
}

BOOST_AUTO_TEST_CASE(an_init_that_fails_anywhere_leaves_the_cluster_or_none_and_can_be_repeated) {
  const Making making([](Making& self, TestNode& node) {
    const keys::IdentityRequest request = self.administrators.request();
    const control::EnrolRequest enrol{request, control::TpmUse::left_out};
    const control::EnrolledNode enrolled = node.await(node.services.enrol(enrol));
    self.send(to_json(self.administrators.admit(enrolled.node, enrolled.software)));
  });
  making.fail_everywhere("init", [&](int status) {
    Again again(making.prepared.used);
    BOOST_TEST((status != 0 || again.is_cluster()));
    repeat_all(again, making.administrators, {});
  });
}

BOOST_AUTO_TEST_CASE(an_enabling_that_fails_anywhere_is_taken_back_or_ended_and_its_number_burnt) {
  const Making making([](Making& self, TestNode& node) { node.become_cluster(self.administrators); });
  making.fail_everywhere("enable", [&](int status) {
    const Names seen = KeysOnDisk(making.prepared.used).names();
    Again again(making.prepared.used);
    check_member(again, making.administrators);
    const bool enabled = again.node->state().phase == cluster::EncryptionPhase::Enabled;
    BOOST_TEST((status != 0 || enabled));
    if (!enabled) {
      BOOST_TEST((again.node->state().phase == cluster::EncryptionPhase::Disabled));
      BOOST_TEST(KeysOnDisk(again.directory).names().empty());  // the burnt ones
    }
    again.node->enable();
    BOOST_TEST(again.node->come_to_rest());
    check_enabled(again, seen);
    check_that_a_volume_can_be_made(again);
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::test
