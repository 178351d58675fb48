// Table lines: exact strings, and what is refused in both directions.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "dmtarget/name.hpp"
#include "dmtarget/table.hpp"
#include "tests/support/refusal.hpp"

BOOST_AUTO_TEST_SUITE(dmbase_table)

using namespace volcrypt;
using namespace volcrypt::dm;
using volcrypt::tests::refusal;

namespace {

CryptTarget usual() {
  CryptTarget target;
  target.sectors = 2064384;
  target.key.description = keyring_description(Uuid::parse("0f5c0bd2-5a80-4b8e-9a54-30c5be4bd5d4"));
  target.device = "253:16";
  target.offset = 32768;
  return target;
}

const std::string head =
    "0 2064384 crypt aes-xts-plain64 :64:logon:cryptsetup:0f5c0bd2-5a80-4b8e-9a54-30c5be4bd5d4-d0 0 253:16 32768";

}  // namespace

BOOST_AUTO_TEST_CASE(the_usual_line_is_exact) { BOOST_TEST(render(usual()) == head + " 1 sector_size:4096"); }

BOOST_AUTO_TEST_CASE(options_stand_in_the_order_of_the_kernel) {
  CryptTarget target = usual();
  target.discards = Discards::passed_down;
  target.workqueues = Workqueues::bypassed;
  BOOST_TEST(render(target) == head + " 4 allow_discards no_read_workqueue no_write_workqueue sector_size:4096");
  target.sector_size = 512;
  BOOST_TEST(render(target) == head + " 3 allow_discards no_read_workqueue no_write_workqueue");
}

BOOST_AUTO_TEST_CASE(no_options_leave_no_count) {
  CryptTarget target = usual();
  target.sector_size = 512;
  BOOST_TEST(render(target) == head);
}

BOOST_AUTO_TEST_CASE(every_target_is_read_back_as_it_was) {
  for (Discards discards : {Discards::refused, Discards::passed_down}) {
    for (Workqueues workqueues : {Workqueues::used, Workqueues::bypassed}) {
      for (std::uint32_t sector_size : {512U, 1024U, 2048U, 4096U}) {
        CryptTarget target = usual();
        target.discards = discards;
        target.workqueues = workqueues;
        target.sector_size = sector_size;
        BOOST_TEST((parse_crypt(render(target)) == target));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_field_that_would_make_another_line_is_refused) {
  auto broken = [](auto change) {
    CryptTarget target = usual();
    change(target);
    refusal(errc::invalid_argument, [&] { render(target); });
  };
  broken([](CryptTarget& t) { t.device = "253:16 0 1 allow_discards"; });
  broken([](CryptTarget& t) { t.device = ""; });
  broken([](CryptTarget& t) { t.device = "/dev/a\nb"; });
  broken([](CryptTarget& t) { t.cipher = "aes xts"; });
  broken([](CryptTarget& t) { t.key.description = ""; });
  broken([](CryptTarget& t) { t.key.bytes = 0; });
  broken([](CryptTarget& t) { t.sector_size = 513; });
  broken([](CryptTarget& t) { t.sector_size = 8192; });
  broken([](CryptTarget& t) { t.sectors = 0; });
  broken([](CryptTarget& t) { t.sectors = 7; });
  broken([](CryptTarget& t) { t.offset = 1; });
}

BOOST_AUTO_TEST_CASE(a_line_with_a_key_in_clear_is_refused_and_not_repeated) {
  const std::string key(128, 'a');
  std::string line = "0 8 crypt aes-xts-plain64 " + key + " 0 253:16 32768";
  std::string text = refusal(errc::unknown_outcome, [&] { parse_crypt(line); });
  BOOST_TEST(text.find("aaaa") == std::string::npos, text);
  BOOST_TEST(!key_is_reference("aes-xts-plain64 " + key + " 0 253:16 32768"));
}

BOOST_AUTO_TEST_CASE(only_logon_keys_are_references) {
  BOOST_TEST(key_is_reference("aes-xts-plain64 :64:logon:cryptsetup:x-d0 0 253:16 0"));
  for (const char* wrong :
       {"", "aes-xts-plain64", "aes-xts-plain64 -", "aes-xts-plain64 :64:user:x",
        "aes-xts-plain64 :64:logon:", "aes-xts-plain64 ::logon:x", "aes-xts-plain64 :0:logon:x",
        "aes-xts-plain64 :6f:logon:x", "aes-xts-plain64 64:logon:x", "aes-xts-plain64 :64:encrypted:x"}) {
    BOOST_TEST(!key_is_reference(wrong), wrong);
  }
}

BOOST_AUTO_TEST_CASE(mappings_that_are_not_ours_are_not_read) {
  const std::string key = ":64:logon:k";
  for (const std::string& line :
       {std::string(), std::string("0 8 linear 253:0 0"), "8 8 crypt aes-xts-plain64 " + key + " 0 253:16 0",
        "0 8 crypt aes-xts-plain64 " + key + " 5 253:16 0", "0 x crypt aes-xts-plain64 " + key + " 0 253:16 0",
        "0 8 crypt aes-xts-plain64 " + key + " 0 253:16", head + " 1 same_cpu_crypt", head + " 2 allow_discards",
        head + " 1 no_read_workqueue", head + " 1 sector_size:x", head + " 1 integrity:28:aead"}) {
    refusal(errc::unknown_outcome, [&] { parse_crypt(line); });
  }
}

BOOST_AUTO_TEST_SUITE_END()
