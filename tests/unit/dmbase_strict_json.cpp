// The strict JSON reader: every refusal it promises, with the member named.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "dmtarget/strict_json.hpp"
#include "tests/support/refusal.hpp"

BOOST_AUTO_TEST_SUITE(dmbase_strict_json)

using namespace volcrypt;
using volcrypt::tests::refusal;

namespace {

const JsonDocument document{"the test document", 200, 3, errc::token_malformed};

std::string refused_text(const std::string& text) {
  return refusal(errc::token_malformed, [&] { parse_object(text, document); });
}

// Reads the one member "m" of {"m":VALUE} in the given way and expects a refusal that names it.
template <class Read>
void refuses_member(const std::string& value, Read read) {
  std::string text = refusal(errc::token_malformed, [&] {
    auto object = parse_object("{\"m\":" + value + "}", document);
    MemberReader members(object, document);
    read(members);
  });
  BOOST_TEST(text.find("the member \"m\" of the test document") != std::string::npos, text);
}

}  // namespace

BOOST_AUTO_TEST_CASE(white_space_and_order_are_free) {
  auto object = parse_object(" \t\r\n{ \"b\" : 2 ,\n \"a\" : \"x\\/y\" } \n", document);
  MemberReader members(object, document);
  BOOST_TEST(members.text("a") == "x/y");
  BOOST_TEST(members.number("b") == 2U);
  BOOST_CHECK_NO_THROW(members.finish());
}

BOOST_AUTO_TEST_CASE(what_is_not_one_json_object_is_refused) {
  for (const char* wrong : {"", " ", "{", "}", "[]", "null", "1", "\"a\"", "{}x", "{}{}", "{\"a\":1,}", "{'a':1}",
                            "{a:1}", "{\"a\":NaN}", "{\"a\":01}", "/*c*/{}", "{\"a\":\"\n\"}", "{\"a\":\"\\x\"}"}) {
    refused_text(wrong);
  }
  refused_text(std::string("{}\0", 3));
}

BOOST_AUTO_TEST_CASE(invalid_utf8_is_refused_in_names_and_values) {
  refused_text("{\"a\":\"\xff\"}");
  refused_text("{\"\xc3\x28\":1}");
  refused_text("{\"a\":\"\xed\xa0\x80\"}");  // a surrogate
  refused_text("{\"a\":\"\\ud800\"}");       // half of a pair
}

BOOST_AUTO_TEST_CASE(a_member_that_stands_twice_is_refused_at_every_depth_and_in_every_spelling) {
  for (const char* wrong : {R"({"a":1,"a":1})", R"({"a":1,"b":2,"a":3})", R"({"o":{"a":1,"a":1}})",
                            R"({"a":1,"\u0061":1})", R"({"l":[{"a":1,"a":2}]})"}) {
    std::string text = refused_text(wrong);
    BOOST_TEST(text.find("a member twice") != std::string::npos, text);
  }
  BOOST_CHECK_NO_THROW(parse_object(R"({"a":{"a":1},"b":{"a":1}})", document));
}

BOOST_AUTO_TEST_CASE(size_and_depth_have_limits) {
  std::string fits = "{\"a\":\"" + std::string(200 - 8, 'x') + "\"}";
  BOOST_TEST(fits.size() == 200U);
  BOOST_CHECK_NO_THROW(parse_object(fits, document));
  std::string text = refused_text(fits + " ");
  BOOST_TEST(text.find("It has 201 bytes; at most 200 are allowed.") != std::string::npos, text);
  BOOST_CHECK_NO_THROW(parse_object(R"({"a":{"b":[]}})", document));
  refused_text(R"({"a":{"b":[[]]}})");
  refused_text(std::string(200, '['));
}

BOOST_AUTO_TEST_CASE(missing_and_unknown_members_are_named) {
  auto object = parse_object(R"({"known":1,"evil\u001b[2J":2})", document);
  MemberReader members(object, document);
  BOOST_TEST(members.has("known"));
  BOOST_TEST(!members.has("absent"));
  members.number("known");
  std::string text = refusal(errc::token_malformed, [&] { members.text("absent"); });
  BOOST_TEST(
      text ==
      "cannot read the member \"absent\" of the test document: the document is not in our exact form. It is missing.");
  text = refusal(errc::token_malformed, [&] { members.finish(); });
  BOOST_TEST(text.find("the member \"evil?[2J\"") != std::string::npos, text);
  BOOST_TEST(text.find("It is unknown") != std::string::npos, text);
}

BOOST_AUTO_TEST_CASE(types_are_exact) {
  for (const char* wrong : {"1", "null", "true", "[]", "{}"}) refuses_member(wrong, [](auto& m) { m.text("m"); });
  for (const char* wrong : {"0", "\"true\"", "null"}) refuses_member(wrong, [](auto& m) { m.flag("m"); });
  for (const char* wrong : {"-1", "1.0", "1e0", "\"1\"", "null", "18446744073709551616"}) {
    refuses_member(wrong, [](auto& m) { m.number("m"); });
  }
  refuses_member("4294967296", [](auto& m) { m.number32("m"); });
  for (const char* wrong :
       {"1", "\"\"", "\"-1\"", "\"+1\"", "\"01\"", "\"1 \"", "\"0x1\"", "\"1.0\"", "\"18446744073709551616\""}) {
    refuses_member(wrong, [](auto& m) { m.decimal_string("m"); });
  }
  for (const char* wrong : {"1", "\"\"", "\"0F5C0BD2-5A80-4B8E-9A54-30C5BE4BD5D4\""}) {
    refuses_member(wrong, [](auto& m) { m.uuid("m"); });
  }
  for (const char* wrong : {"1", "\"Zg\"", "\"Zh==\""}) refuses_member(wrong, [](auto& m) { m.base64("m"); });
  refuses_member("\"Zg==\"", [](auto& m) { m.base64("m", 2); });
  refuses_member("{}", [](auto& m) { m.array("m"); });
  refuses_member("[]", [](auto& m) { m.object("m"); });
}

BOOST_AUTO_TEST_CASE(largest_numbers_are_read_whole) {
  auto object =
      parse_object(R"({"n":18446744073709551615,"s":"18446744073709551615","w":4294967295,"z":"0"})", document);
  MemberReader members(object, document);
  BOOST_TEST(members.number("n") == 18446744073709551615U);
  BOOST_TEST(members.decimal_string("s") == 18446744073709551615U);
  BOOST_TEST(members.number32("w") == 4294967295U);
  BOOST_TEST(members.decimal_string("z") == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
