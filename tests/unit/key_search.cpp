// The search of the leak tests finds a key wherever, and however, it may be written; and nothing where it is not.
#define BOOST_TEST_DYN_LINK
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdio>

#include "tests/support/key_spellings.hpp"

using namespace volcrypt;
using test::key_spellings;
using test::KeySearch;

namespace {

Bytes some_key() {
  Bytes key(32);
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i * 37 + 250);
  return key;
}

bool finds(const std::string& text) { return KeySearch(key_spellings(some_key())).finds_in(text); }

// As somebody else's program would write it.
std::string printed(const char* format, const Bytes& key) {
  std::string text = "key=";
  for (const std::uint8_t byte : key) {
    char buffer[16];
    std::snprintf(buffer, sizeof buffer, format, byte);
    text += buffer;
  }
  return text + " end";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(key_search)

BOOST_AUTO_TEST_CASE(raw_bytes_are_found_in_both_orders) {
  Bytes key = some_key();
  BOOST_TEST(finds("before" + std::string(key.begin(), key.end()) + "after"));
  std::reverse(key.begin(), key.end());
  BOOST_TEST(finds(std::string(key.begin(), key.end())));
}

BOOST_AUTO_TEST_CASE(hexadecimal_is_found_in_both_cases_and_orders_and_with_every_separator) {
  const Bytes key = some_key(), reversed(key.rbegin(), key.rend());
  for (const char* format :
       {"%02x",   "%02X",   "%02x:",   "%02X:",   "%02x ",    "%02X ",    "%02x-",   "%02X-",   "%02x,",   "%02X,",
        "%02x, ", "%02X, ", "\\x%02x", "\\x%02X", "0x%02x, ", "0x%02X, ", "0x%02x,", "0x%02X,", "0x%02x ", "0x%02X "}) {
    BOOST_TEST(finds(printed(format, key)), format);
    BOOST_TEST(finds(printed(format, reversed)), format << " from the last byte on");
  }
}

BOOST_AUTO_TEST_CASE(base64_is_found_wherever_the_key_begins_in_the_encoded_text) {
  for (std::size_t before = 0; before < 7; ++before) {
    for (std::size_t after = 0; after < 4; ++after) {
      Bytes message(before, 'a');
      const Bytes key = some_key();
      message.insert(message.end(), key.begin(), key.end());
      message.insert(message.end(), after, 'z');
      BOOST_TEST_CONTEXT(before << " bytes before, " << after << " after") {
        std::string text = to_base64(message);
        BOOST_TEST(finds(text));
        std::replace(text.begin(), text.end(), '+', '-');
        std::replace(text.begin(), text.end(), '/', '_');
        BOOST_TEST(finds(text));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(another_key_and_a_key_that_is_cut_short_are_not_found) {
  Bytes other = some_key();
  other[31] ^= 1;
  BOOST_TEST(!finds(std::string(other.begin(), other.end())));
  BOOST_TEST(!finds(to_hex(other)));
  BOOST_TEST(!finds(""));
  BOOST_TEST(!finds("k"));
  BOOST_TEST(!finds(to_hex(some_key()).substr(0, 63)));
}

BOOST_AUTO_TEST_SUITE_END()
