// A rotation by the real coordinator, retirement included, failing or cut off at every write, fsync, rename and unlink
// of store, pin, key blobs, recovery blobs and headers. At each point every volume opens from its drive and a KEK on
// disk; another process then brings the cluster to rest, and no number ever meant two keys. (FAILURES A: tikv#15768,
// tikv#17410, nomad#27581; B: nomad#14981, nomad#19340, nomad#25897, kubernetes#49565, rook#18282: the next start.)
#include "tests/support/crashed_node.hpp"

namespace volcrypt::test {

namespace {

using cluster::Generation;

const std::vector<std::string> drives{"vdb"};
using Names = std::map<Generation, Bytes>;

// Before anything is repaired or resumed.
Names look_at_what_is_left(const std::string& directory) {
  const KeysOnDisk keys(directory);
  for (const std::string& drive : drives) BOOST_CHECK_NO_THROW(keys.open(directory + "/" + drive));
  return keys.names();
}

std::vector<std::string> command(const Prepared& prepared, const char* verb) {
  return {VOLCRYPT_VOLUMES_SCENARIO, prepared.used, verb, "vdb"};
}

void resume(const Prepared& prepared) {
  const FailingProgram program{prepared.used, command(prepared, "resume")};
  BOOST_TEST(program.run({}) == 0);
}

std::set<Generation> numbers_of(const Names& names) {
  std::set<Generation> numbers;
  for (const auto& [number, name] : names) numbers.insert(number);
  return numbers;
}

void check_rest(const Prepared& prepared, const Names& before) {
  StartedAgain after(prepared.used, drives);
  const cluster::EncryptionState state = after.node->state();
  const std::set<Generation> current{state.current};
  BOOST_TEST((state.rotation == cluster::RotationPhase::NoRotation));
  BOOST_TEST(state.previous.empty());
  BOOST_TEST(state.retiring.empty());
  BOOST_TEST(after.attached() == drives.size());
  BOOST_TEST((after.node->await(after.node->volumes.census()) == current));
  const KeysOnDisk keys(prepared.used);
  for (const std::string& drive : drives) BOOST_TEST(keys.open(prepared.used + "/" + drive) == state.current);
  const Names names = keys.names();
  BOOST_TEST((numbers_of(names) == current));
  std::set<Generation> recoverable;
  for (const keys::RecoveryBlob& blob : after.node->await(after.node->member.recovery_blobs())) {
    recoverable.insert(blob.generation);
    BOOST_TEST((names.contains(blob.generation) && blob.name == names.at(blob.generation)));
  }
  BOOST_TEST((recoverable == current));
  for (const auto& [number, name] : before) {
    BOOST_TEST(number <= state.highest_used);  // what comes next is above it
    BOOST_TEST((number != state.current || name == names.at(number)));
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(volumes_crash_rotation)

BOOST_AUTO_TEST_CASE(a_rotation_that_fails_anywhere_loses_no_volume_and_comes_to_rest_in_the_next_process) {
  const Prepared prepared(enabled_with(drives));
  at_every_step(prepared, command(prepared, "rotate"), [&](int status) {
    const Names before = look_at_what_is_left(prepared.used);
    resume(prepared);
    check_rest(prepared, before);
    const KeysOnDisk keys(prepared.used);
    BOOST_TEST((status != 0 || !keys.names().contains(1)));
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::test
