// Create and erase, failing or cut off at every write, fsync, rename and unlink of store, key blobs, local copies and
// headers. After each: the old state or the new one is there and opens from persistent bytes, and the verb can be done
// again. Rotation: volumes_crash_rotation.cpp. (FAILURES A: NixOS/nixpkgs#210329, vault#23073, tikv#9886.)
#include "agent/runtime/durable_file.hpp"
#include "dmtarget/block_file.hpp"
#include "tests/support/crashed_node.hpp"

namespace volcrypt::test {

namespace {

const std::vector<std::string> drives{"vdb"};

std::vector<std::string> command(const Prepared& prepared, const char* verb) {
  return {VOLCRYPT_VOLUMES_SCENARIO, prepared.used, verb, "vdb"};
}

// Without --erase-existing-data, unless the format was cut off: that its bytes are nobody's data the operator must say.
void create_again(StartedAgain& after, const std::string& drive) {
  const bool blank = dm::all_zero(runtime::read_file(drive, 2 * FileDevices::drive_size).value());
  dm::ExistingData existing = dm::ExistingData::refuse;
  try {
    after.node->create("vdb", drive);
    return;
  } catch (const Error& error) {
    BOOST_TEST((!blank && error.code() == errc::device_not_blank), error.what());
    existing = dm::ExistingData::erase;
  }
  after.node->await(after.node->volumes.create({"vdb", drive, existing, dm::Discards::refused}));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(volumes_crash)

BOOST_AUTO_TEST_CASE(a_create_that_fails_anywhere_leaves_nothing_or_a_volume_that_opens) {
  const Prepared prepared([](const std::string& directory) {
    enabled_with({})(directory);
    make_drive(directory, "vdb");
  });
  at_every_step(prepared, command(prepared, "create"), [&](int status) {
    StartedAgain after(prepared.used, drives);
    const bool made = after.attached() == 1;
    BOOST_TEST((made || after.nothing()));
    BOOST_TEST((made || status != 0));
    if (made) return;
    create_again(after, prepared.used + "/vdb");
    BOOST_TEST(after.attached() == 1U);
  });
}

BOOST_AUTO_TEST_CASE(an_erase_that_fails_anywhere_leaves_the_volume_or_nothing) {
  const Prepared prepared(enabled_with(drives));
  at_every_step(prepared, command(prepared, "erase"), [&](int status) {
    StartedAgain after(prepared.used, drives);
    const bool lives = after.attached() == 1;
    BOOST_TEST((lives || after.nothing()));
    BOOST_TEST((!lives || status != 0));
    if (lives) after.node->await(after.node->volumes.erase("vdb"));
    BOOST_TEST(after.nothing());
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace volcrypt::test
