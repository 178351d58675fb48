// The text of errors, and the stable names of causes.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <set>

#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"

BOOST_AUTO_TEST_SUITE(dmbase_error)

using namespace volcrypt;

BOOST_AUTO_TEST_CASE(an_error_says_what_failed_on_what_why_and_what_to_do) {
  Error error(errc::wrong_cluster, {"attach", "/dev/vdb", "Use the cluster that made it."});
  BOOST_TEST(error.what() ==
             "cannot attach /dev/vdb: it belongs to another volcrypt cluster. Use the cluster that made it.");
  BOOST_TEST((error.code() == errc::wrong_cluster));
  BOOST_TEST(error.operation() == "attach");
  BOOST_TEST(error.object() == "/dev/vdb");
  BOOST_TEST(error.way_out() == "Use the cluster that made it.");
}

BOOST_AUTO_TEST_CASE(an_error_without_object_or_way_out_has_no_gaps) {
  BOOST_TEST(Error(errc::timed_out, {"rotate", "", ""}).what() == "cannot rotate: it took longer than its deadline");
}

BOOST_AUTO_TEST_CASE(an_errno_keeps_its_own_text_and_is_named_errno) {
  Error error(errno_code(ENOSPC), {"write", "/var/lib/volcrypt/state", ""});
  BOOST_TEST(error.what() == "cannot write /var/lib/volcrypt/state: No space left on device");
  BOOST_TEST(errc_name(error.code()) == "errno");
  BOOST_TEST(error.code().value() == ENOSPC);
}

BOOST_AUTO_TEST_CASE(every_cause_has_a_name_and_a_text_of_its_own) {
  std::set<std::string> names, texts;
  int count = static_cast<int>(errc::peer_refused);
  for (int number = 1; number <= count; ++number) {
    auto code = make_error_code(static_cast<errc>(number));
    names.insert(errc_name(code));
    texts.insert(code.message());
  }
  BOOST_TEST(names.size() == static_cast<std::size_t>(count));
  BOOST_TEST(texts.size() == static_cast<std::size_t>(count));
  BOOST_TEST(names.count("sealed_out") == 1U);
  BOOST_TEST(errc_name(make_error_code(static_cast<errc>(count + 1))) == "unknown");
}

BOOST_AUTO_TEST_CASE(text_from_outside_cannot_carry_control_characters_into_an_error) {
  BOOST_TEST(quoted("a\x1b[2Jb\n\"c\xc3\xa4") == "\"a?[2Jb??c??\"");
  BOOST_TEST(quoted(std::string(65, 'x')) == "\"" + std::string(64, 'x') + "...\"");
  BOOST_TEST(quoted("") == "\"\"");
}

BOOST_AUTO_TEST_CASE(undo_runs_unless_kept) {
  int undone = 0;
  {
    Undo undo([&] { ++undone; });
  }
  BOOST_TEST(undone == 1);
  {
    Undo undo([&] { ++undone; });
    undo.keep();
  }
  BOOST_TEST(undone == 1);
}

BOOST_AUTO_TEST_SUITE_END()
