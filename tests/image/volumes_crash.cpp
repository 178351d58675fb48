// Create, erase and rotate, failing or cut off at every write, fsync, rename and unlink of store, key blobs, local
// copies and headers. After each: the old state or the new one is there and opens from persistent bytes, and the verb
// can be done again. (FAILURES A: NixOS/nixpkgs#210329, vault#23073, tikv#9886, tikv#17410.)
#include <filesystem>

#include "tests/support/failpoints.hpp"
#include "tests/support/volumes_fixture.hpp"

namespace volcrypt::volumes {

using test::Failpoint;

namespace {

std::vector<Failpoint> failures_at(long step) {
  return {{step, "eio"}, {step, "enospc", true}, {step, "crash", false, true}, {step, "torn"}};
}

// A node's directory with the drive DIRECTORY/vdb; copied for each run.
struct Prepared {
  test::ScratchDirectory directory;
  std::string whole = directory.path("whole"), used = directory.path("used");

  template <class Make>
  explicit Prepared(Make make) {
    std::filesystem::create_directory(whole);
    const auto devices = std::make_shared<test::FileDevices>();
    const std::string drive = test::make_drive(whole, "vdb");
    devices->plug(drive);
    test::TestNode node(whole, devices);
    make(node, drive);
  }

  void reset() const {
    std::filesystem::remove_all(used);
    std::filesystem::copy(whole, used, std::filesystem::copy_options::recursive);
  }
};

struct After {
  explicit After(const std::string& directory) : drive(directory + "/vdb") {
    devices->plug(drive);
    node = std::make_unique<test::TestNode>(directory, devices);
    node->await(node->volumes.start());
  }
  std::string drive;
  std::shared_ptr<test::FileDevices> devices = std::make_shared<test::FileDevices>();
  std::unique_ptr<test::TestNode> node;

  bool attached() {
    const auto all = node->await(node->volumes.list());
    return all.size() == 1 && all.front().condition == Condition::attached;
  }
  bool nothing() { return node->await(node->volumes.list()).empty() && devices->mapped() == 0; }
};

template <class Check>
void at_every_step(const Prepared& prepared, const std::string& verb, Check check) {
  const test::FailingProgram program{prepared.used, {VOLCRYPT_VOLUMES_SCENARIO, prepared.used, verb}};
  prepared.reset();
  const long steps = program.count_steps();
  BOOST_TEST_MESSAGE(verb << ": " << steps << " steps");
  BOOST_REQUIRE(steps > 10);
  for (long step = 1; step <= steps; ++step) {
    for (const Failpoint& failpoint : failures_at(step)) {
      prepared.reset();
      const int status = program.run(failpoint);
      BOOST_TEST_CONTEXT(verb << ", " << failpoint << ", status " << status) {
        try {
          check(status);
        } catch (const std::exception& error) {
          BOOST_ERROR(error.what());
        }
      }
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(volumes_crash)

BOOST_AUTO_TEST_CASE(a_create_that_fails_anywhere_leaves_nothing_or_a_volume_that_opens) {
  const Prepared prepared([](test::TestNode&, const std::string&) {});
  at_every_step(prepared, "create", [&](int status) {
    After after(prepared.used);
    const bool made = after.attached();
    BOOST_TEST((made || after.nothing()));
    BOOST_TEST((made || status != 0));
    if (!made) {
      after.node->await(
          after.node->volumes.create({"data1", after.drive, dm::ExistingData::erase, dm::Discards::refused}));
      BOOST_TEST(after.attached());
    }
  });
}

BOOST_AUTO_TEST_CASE(an_erase_that_fails_anywhere_leaves_the_volume_or_nothing) {
  const Prepared prepared([](test::TestNode& node, const std::string& drive) { node.create("data1", drive); });
  at_every_step(prepared, "erase", [&](int status) {
    After after(prepared.used);
    const bool lives = after.attached();
    BOOST_TEST((lives || after.nothing()));
    BOOST_TEST((!lives || status != 0));
    if (lives) after.node->await(after.node->volumes.erase("data1"));
    BOOST_TEST(after.nothing());
  });
}

BOOST_AUTO_TEST_CASE(a_rotation_that_fails_anywhere_leaves_a_volume_that_opens_and_can_be_finished) {
  const Prepared prepared([](test::TestNode& node, const std::string& drive) { node.create("data1", drive); });
  at_every_step(prepared, "rotate", [&](int status) {
    {
      After after(prepared.used);
      BOOST_TEST(after.attached());
      const cluster::EncryptionState state = after.node->state();
      BOOST_TEST((status != 0 || (state.current == 2 && state.previous.empty())));
      Generation to = state.current;
      if (to == 1) after.node->make_current(to = 3);  // number 2 is burnt
      BOOST_TEST(after.node->await(after.node->volumes.rewrap_all(to)).done == 1U);
      after.node->forget(1);
      BOOST_TEST((after.node->await(after.node->volumes.census()) == std::set<Generation>{to}));
    }
    After cold(prepared.used);  // no mapping and no key in memory is left from before
    BOOST_TEST(cold.attached());
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::volumes
