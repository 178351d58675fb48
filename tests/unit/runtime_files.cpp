// Durable files and log lines.
#define BOOST_TEST_DYN_LINK
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>

#include "agent/runtime/durable_file.hpp"
#include "agent/runtime/log.hpp"
#include "dmtarget/error.hpp"

using namespace volcrypt;
namespace fs = std::filesystem;

namespace {

struct Directory {
  fs::path path;
  Directory() {
    std::string form = fs::temp_directory_path() / "volcrypt-test-XXXXXX";
    path = mkdtemp(form.data());
  }
  ~Directory() { fs::remove_all(path); }
  std::size_t files() const { return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), {})); }
};

std::string text_of(const std::optional<Bytes>& bytes) {
  return bytes ? std::string(bytes->begin(), bytes->end()) : "(no file)";
}

auto is(boost::system::error_code code) {
  return [code](const Error& error) { return error.code() == code; };
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(what_is_written_is_read_back_and_is_for_its_owner_only, Directory) {
  runtime::write_durably(path / "a", as_bytes("one"));
  runtime::write_durably(path / "a", as_bytes("two"));
  BOOST_TEST(text_of(runtime::read_file(path / "a", 3)) == "two");
  struct stat facts {};
  BOOST_REQUIRE(stat((path / "a").c_str(), &facts) == 0);
  BOOST_TEST((facts.st_mode & 07777) == 0600u);
  BOOST_TEST(files() == 1u);
}

BOOST_FIXTURE_TEST_CASE(an_empty_and_a_large_file_are_written_whole, Directory) {
  const Bytes large(3 * 1024 * 1024 + 17, 0x5a);
  runtime::write_durably(path / "a", large);
  BOOST_TEST((runtime::read_file(path / "a", large.size()) == large));
  runtime::write_durably(path / "a", {});
  BOOST_TEST((runtime::read_file(path / "a", 0) == Bytes{}));
}

BOOST_FIXTURE_TEST_CASE(a_file_that_is_not_there_is_told_from_one_that_cannot_be_read, Directory) {
  BOOST_TEST(!runtime::read_file(path / "a", 10));
  fs::create_symlink(path / "a", path / "a");
  BOOST_CHECK_EXCEPTION(runtime::read_file(path / "a", 10), Error, is(errno_code(ELOOP)));
  fs::create_directory(path / "d");
  BOOST_CHECK_EXCEPTION(runtime::read_file(path / "d", 10), Error, is(errc::invalid_argument));
}

BOOST_FIXTURE_TEST_CASE(a_file_over_the_limit_is_refused, Directory) {
  runtime::write_durably(path / "a", as_bytes("four"));
  BOOST_CHECK_EXCEPTION(runtime::read_file(path / "a", 3), Error, is(errc::limit_exceeded));
  BOOST_CHECK_EXCEPTION(runtime::read_secret_file(path / "a", 3), Error, is(errc::limit_exceeded));
}

BOOST_FIXTURE_TEST_CASE(create_never_replaces_a_file, Directory) {
  runtime::create_durably(path / "a", as_bytes("one"));
  BOOST_CHECK_EXCEPTION(runtime::create_durably(path / "a", as_bytes("two")), Error, is(errc::already_exists));
  BOOST_TEST(text_of(runtime::read_file(path / "a", 3)) == "one");
  BOOST_TEST(files() == 1u);
}

BOOST_FIXTURE_TEST_CASE(what_a_crash_left_beside_the_file_is_replaced, Directory) {
  std::ofstream(path / ".a.new") << "half";
  runtime::write_durably(path / "a", as_bytes("one"));
  BOOST_TEST(text_of(runtime::read_file(path / "a", 3)) == "one");
  BOOST_TEST(files() == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_key_is_read_into_a_secret_and_an_empty_one_is_refused, Directory) {
  runtime::write_durably(path / "key", as_bytes("secret"));
  const auto key = runtime::read_secret_file(path / "key", 64);
  BOOST_REQUIRE(key.has_value());
  BOOST_TEST(equals(*key, Secret::copy_of(as_bytes("secret"))));
  BOOST_TEST(!runtime::read_secret_file(path / "other", 64));
  runtime::write_durably(path / "key", {});
  BOOST_CHECK_EXCEPTION(runtime::read_secret_file(path / "key", 64), Error, is(errc::invalid_argument));
}

BOOST_FIXTURE_TEST_CASE(a_removed_file_is_gone_and_removing_it_again_is_no_error, Directory) {
  runtime::write_durably(path / "a", as_bytes("one"));
  runtime::remove_durably(path / "a");
  runtime::remove_durably(path / "a");
  BOOST_TEST(files() == 0u);
}

BOOST_FIXTURE_TEST_CASE(a_missing_directory_is_named_in_the_error, Directory) {
  BOOST_CHECK_EXCEPTION(runtime::write_durably(path / "none" / "a", as_bytes("one")), Error, [](const Error& error) {
    return error.code() == errno_code(ENOENT) && std::string(error.what()).find("none") != std::string::npos;
  });
}

BOOST_AUTO_TEST_CASE(a_log_line_quotes_what_would_be_read_wrongly) {
  BOOST_TEST(runtime::log_line("attached", {{"volume", "data1"}, {"device", "/dev/vdb"}}) ==
             "attached volume=data1 device=/dev/vdb");
  BOOST_TEST(runtime::log_line("failed", {{"cause", "no \"such\" device"}, {"empty", ""}}) ==
             "failed cause=\"no \\\"such\\\" device\" empty=\"\"");
}

BOOST_AUTO_TEST_CASE(a_value_cannot_forge_a_second_log_line) {
  BOOST_TEST(runtime::log_line("failed", {{"name", "a\nerror: forged"}}) == "failed name=\"a\\x0aerror: forged\"");
}
