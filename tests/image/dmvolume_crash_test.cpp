// Every header write of create, rewrap, restore, erase and repair fails or crashes at every single step, in every way
// of failpoints.hpp. Afterwards the old or the new token is there and opens with its key, never neither. FAILURES.md
// section A: nixpkgs#210329 (power cut between two writes), tikv#9886 (ENOSPC, EIO), vault#23073 (a disk that loses
// what was not flushed), nomad#27581 (a half-done write stays behind).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <functional>

#include "dmtarget/error.hpp"
#include "dmtarget/header_copies.hpp"
#include "dmtarget/volume.hpp"
#include "tests/support/failpoints.hpp"
#include "tests/support/luks_forge.hpp"
#include "tests/support/volume_image.hpp"

namespace volcrypt::test {
namespace {

using dm::LuksHeader;
using Copies = dm::HeaderFacts::Copies;

// A prepared drive, files for the program that works on copies of it, and how that program is run.
struct Scene {
  VolumeImage image;
  dm::Token next = rewrapped(image.token);
  ScratchDirectory watched;  // only the copy lies here, so only its steps count
  std::string drive = watched.path("drive.img");

  std::string keep(const std::string& name, ByteView bytes) const {
    std::ofstream(image.directory.path(name), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return image.directory.path(name);
  }
  std::string keep(const std::string& name, const dm::Token& token) const {
    return keep(name, as_bytes(dm::to_json(token)));
  }
  void fresh_copy() const {
    std::filesystem::copy_file(image.file, drive, std::filesystem::copy_options::overwrite_existing);
  }
  FailingProgram program(std::vector<std::string> words) const {
    words.insert(words.begin(), VOLCRYPT_STEP_PROGRAM);
    return {watched.path(), std::move(words)};
  }
};

enum class Found { old_token, new_token, no_header, damaged, other };

Found look(const std::string& drive, const Secret& key, const dm::Token& before, const dm::Token& after) {
  try {
    LuksHeader header = LuksHeader::open(drive);
    header.check_description();
    header.verify_volume_key(key);
    return header.token() == after ? Found::new_token : header.token() == before ? Found::old_token : Found::other;
  } catch (const Error& error) {
    if (error.code() == errc::not_ours || error.code() == errc::device_all_zero) return Found::no_header;
    return error.code() == errc::header_damaged ? Found::damaged : Found::other;
  }
}

// Runs the program into every failpoint, and `check`s with its exit status what it left.
void fail_everywhere(const Scene& scene, const FailingProgram& program, const std::function<void(int)>& check) {
  scene.fresh_copy();
  const long steps = program.count_steps();
  check(0);
  BOOST_TEST_MESSAGE(program.command.at(1) << ": " << steps << " steps");
  for (long at = 1; at <= steps; ++at) {
    for (const Failpoint& failpoint : ways_to_fail(at)) {
      BOOST_TEST_CONTEXT(program.command.at(1) << ", " << failpoint) {
        scene.fresh_copy();
        int status = program.run(failpoint);
        bool ends_there = failpoint.how == "crash" || failpoint.how == "after" || failpoint.how == "torn" ||
                          failpoint.how == "sliver";
        if (ends_there) BOOST_TEST(status == crash_status);
        if (failpoint.how == "short") BOOST_TEST(status == 0);
        check(status);
      }
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(header_writes_that_fail)

BOOST_AUTO_TEST_CASE(create_leaves_a_volume_that_opens_or_no_header_of_ours) {
  Scene scene;
  make_blank_image(scene.image.file);
  auto program = scene.program(
      {"create", scene.drive, scene.keep("token", scene.image.token), scene.keep("key", scene.image.key.view())});
  fail_everywhere(scene, program, [&](int status) {
    Found found = look(scene.drive, scene.image.key, scene.image.token, scene.image.token);
    bool is_whole_or_nothing = found == Found::new_token || found == Found::no_header;
    BOOST_TEST(is_whole_or_nothing);
    if (status == 0) BOOST_TEST((found == Found::new_token));
  });
}

BOOST_AUTO_TEST_CASE(a_create_that_failed_once_has_wiped_its_header_again) {
  Scene scene;
  make_blank_image(scene.image.file);
  auto program = scene.program(
      {"create", scene.drive, scene.keep("token", scene.image.token), scene.keep("key", scene.image.key.view())});
  scene.fresh_copy();
  const long steps = program.count_steps();
  for (long at = 1; at <= steps; ++at) {
    scene.fresh_copy();
    BOOST_TEST(program.run({at, "eio"}) == 1);
    BOOST_TEST((look(scene.drive, scene.image.key, scene.image.token, scene.image.token) == Found::no_header));
    scene.fresh_copy();
    BOOST_TEST(program.run({0}) == 0);  // and nothing is in the way of the next try
  }
}

BOOST_AUTO_TEST_CASE(rewrap_leaves_the_old_or_the_new_token) {
  Scene scene;
  auto program = scene.program({"rewrap", scene.drive, scene.keep("token", scene.next)});
  fail_everywhere(scene, program, [&](int status) {
    Found found = look(scene.drive, scene.image.key, scene.image.token, scene.next);
    bool is_old_or_new = found == Found::old_token || found == Found::new_token;
    BOOST_TEST(is_old_or_new);
    if (status == 0) BOOST_TEST((found == Found::new_token));
    dm::repair_header(scene.drive, LuksHeader::open(scene.drive).token(), scene.image.key);
    BOOST_TEST(
        (dm::rewrap(scene.drive, scene.next) == (found == Found::new_token ? dm::Changed::no : dm::Changed::yes)));
  });
}

BOOST_AUTO_TEST_CASE(a_rewrap_taken_back_leaves_the_old_or_the_new_token) {
  Scene scene;
  dm::rewrap(scene.image.file, scene.next);
  auto program = scene.program(
      {"take_back", scene.drive, scene.keep("before", scene.image.token), scene.keep("after", scene.next)});
  fail_everywhere(scene, program, [&](int status) {
    Found found = look(scene.drive, scene.image.key, scene.image.token, scene.next);
    bool is_old_or_new = found == Found::old_token || found == Found::new_token;
    BOOST_TEST(is_old_or_new);
    if (status == 0) BOOST_TEST((found == Found::old_token));
  });
}

BOOST_AUTO_TEST_CASE(rewrap_over_one_damaged_copy_is_refused_before_any_write) {
  for (Copy copy : {Copy::primary, Copy::secondary}) {
    Scene scene;
    damage_copy(scene.image.file, copy);
    const Bytes before = content_of(scene.image.file);
    scene.fresh_copy();
    BOOST_TEST(scene.program({"rewrap", scene.drive, scene.keep("token", scene.next)}).run({0}) == 1);
    BOOST_TEST((content_of(scene.drive) == before));
  }
}

BOOST_AUTO_TEST_CASE(repair_never_writes_the_good_copy) {
  for (Copy copy : {Copy::primary, Copy::secondary}) {
    Scene scene;
    damage_copy(scene.image.file, copy);
    const std::size_t good_at = copy == Copy::primary ? dm::header_copy_size : 0;
    const Bytes good = content_of(scene.image.file, dm::header_area_size);
    auto program = scene.program(
        {"repair", scene.drive, scene.keep("token", scene.image.token), scene.keep("key", scene.image.key.view())});
    scene.fresh_copy();
    BOOST_TEST(program.count_steps() == 2);  // one write and one flush: of the damaged copy alone
    fail_everywhere(scene, program, [&](int status) {
      BOOST_TEST((look(scene.drive, scene.image.key, scene.image.token, scene.image.token) == Found::new_token));
      const Bytes now = content_of(scene.drive, dm::header_area_size);
      BOOST_TEST(std::equal(&now[good_at], &now[good_at] + dm::header_copy_size, &good[good_at]));
      if (status == 0) BOOST_TEST((LuksHeader::open(scene.drive).facts().copies == Copies::both_good));
    });
  }
}

BOOST_AUTO_TEST_CASE(restore_over_a_good_header_leaves_the_old_or_the_restored_one) {
  Scene scene;
  std::string backup = scene.keep("backup", dm::backup_header(scene.image.file));
  LuksHeader::open(scene.image.file).replace_token(scene.next);
  auto program = scene.program({"restore", scene.drive, backup, scene.image.token.volume.str()});
  fail_everywhere(scene, program, [&](int status) {
    Found found = look(scene.drive, scene.image.key, scene.next, scene.image.token);
    bool is_old_or_new = found == Found::old_token || found == Found::new_token;
    BOOST_TEST(is_old_or_new);
    if (status == 0) BOOST_TEST((found == Found::new_token));
  });
}

BOOST_AUTO_TEST_CASE(restore_over_a_damaged_header_can_be_repeated_until_it_is_done) {
  Scene scene;
  Bytes backup = dm::backup_header(scene.image.file);
  std::string file = scene.keep("backup", backup);
  damage_copy(scene.image.file, Copy::primary);
  damage_copy(scene.image.file, Copy::secondary);
  auto program = scene.program({"restore", scene.drive, file, scene.image.token.volume.str()});
  fail_everywhere(scene, program, [&](int status) {
    Found found = look(scene.drive, scene.image.key, scene.image.token, scene.image.token);
    bool is_damaged_or_whole = found == Found::damaged || found == Found::new_token;
    BOOST_TEST(is_damaged_or_whole);
    if (status == 0) BOOST_TEST((found == Found::new_token));
    dm::restore_header(scene.drive, backup, scene.image.token.volume);
    BOOST_TEST((look(scene.drive, scene.image.key, scene.image.token, scene.image.token) == Found::new_token));
  });
}

BOOST_AUTO_TEST_CASE(restore_over_one_damaged_copy_never_risks_the_good_one) {
  for (Copy copy : {Copy::primary, Copy::secondary}) {
    Scene scene;
    Bytes backup = dm::backup_header(scene.image.file);
    std::string file = scene.keep("backup", backup);
    LuksHeader::open(scene.image.file).replace_token(scene.next);  // so that old and restored are told apart
    damage_copy(scene.image.file, copy);
    auto program = scene.program({"restore", scene.drive, file, scene.image.token.volume.str()});
    fail_everywhere(scene, program, [&](int status) {
      Found found = look(scene.drive, scene.image.key, scene.next, scene.image.token);
      bool is_old_or_restored = found == Found::old_token || found == Found::new_token;
      BOOST_TEST(is_old_or_restored);
      if (status == 0) BOOST_TEST((found == Found::new_token));
      dm::restore_header(scene.drive, backup, scene.image.token.volume);
      BOOST_TEST((look(scene.drive, scene.image.key, scene.next, scene.image.token) == Found::new_token));
    });
  }
}

BOOST_AUTO_TEST_CASE(erase_leaves_a_volume_that_opens_or_no_header_and_can_be_repeated) {
  Scene scene;
  auto program = scene.program({"erase", scene.drive, scene.image.token.volume.str()});
  fail_everywhere(scene, program, [&](int status) {
    Found found = look(scene.drive, scene.image.key, scene.image.token, scene.image.token);
    bool is_whole_or_gone = found == Found::new_token || found == Found::no_header;
    BOOST_TEST(is_whole_or_gone);
    if (status == 0) BOOST_TEST((found == Found::no_header));
    try {
      dm::erase(scene.drive, scene.image.token.volume);
    } catch (const Error& error) {
      BOOST_TEST((error.code() == errc::device_all_zero));  // nothing of the header was left to erase
    }
    Bytes left = content_of(scene.drive, 32768);
    BOOST_TEST((left == Bytes(32768)));
  });
}

BOOST_AUTO_TEST_SUITE_END()
}  // namespace volcrypt::test
