// The HTTP layer without sockets: targets, routes, strict JSON bodies.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/http/json_body.hpp"
#include "agent/http/router.hpp"
#include "dmtarget/error.hpp"

using namespace volcrypt;
using namespace volcrypt::http;

namespace {

bool is_invalid(const Error& error) { return error.code() == errc::invalid_argument; }

asio::awaitable<Response> nothing(Request) { co_return Response{}; }

struct Shop {
  Router router;
  Shop() {
    router.add(Method::get, "/v1/volumes", nothing);
    router.add(Method::post, "/v1/volumes", nothing);
    router.add(Method::get, "/v1/volumes/{name}", nothing);
    router.add(Method::get, "/v1/volumes/all", nothing);
    router.add(Method::post, "/v1/volumes/{name}/attach", nothing);
  }
  Router::Match match(Method method, std::string_view target, Request& request) {
    request.method = method;
    return router.match(request, target);
  }
};

// The message of the refusal; empty when `read` refuses nothing.
template <class Read>
std::string refusal(Read read) {
  try {
    read();
  } catch (const Error& error) {
    BOOST_TEST(is_invalid(error));
    return error.what();
  }
  return "";
}

bool names(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_SUITE(target)

BOOST_AUTO_TEST_CASE(segments_and_query_are_decoded_apart) {
  const Target target = parse_target("/v1/volumes/a%2Fb?timeout=3&x=%20y&flag");
  BOOST_TEST(target.segments == (std::vector<std::string>{"v1", "volumes", "a/b"}), boost::test_tools::per_element());
  BOOST_TEST(target.query.at("timeout") == "3");
  BOOST_TEST(target.query.at("x") == " y");
  BOOST_TEST(target.query.at("flag") == "");
}

BOOST_AUTO_TEST_CASE(what_rfc_3986_does_not_allow_is_refused) {
  for (const auto* bad : {"", "v1", "*", "http://x/v1", "/v1/%", "/v1/%4", "/v1/%zz", "/v1/%00", "/v1/%0a", "/v1/../x",
                          "/v1/.", "/v1/%2e%2e/x", "/v1?a=1&a=2", "/v1?=1", "/v1?a=%7f"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_CHECK_EXCEPTION(parse_target(bad), Error, is_invalid); }
  }
}

BOOST_AUTO_TEST_CASE(escaped_text_decodes_to_itself) {
  const std::string text = "a b/c%d?e&f=g+h~i_j-k.l\xc3\xa4";
  BOOST_TEST(parse_target("/" + escape(text)).segments.at(0) == text);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(router, Shop)

BOOST_AUTO_TEST_CASE(a_name_in_the_pattern_is_a_value_of_the_request) {
  Request request;
  const auto found = match(Method::post, "/v1/volumes/data1/attach", request);
  BOOST_TEST(static_cast<bool>(found.handler));
  BOOST_TEST(found.pattern == "/v1/volumes/{name}/attach");
  BOOST_TEST(request.path_values.at("name") == "data1");
  BOOST_TEST(request.path == "/v1/volumes/data1/attach");
}

BOOST_AUTO_TEST_CASE(a_literal_wins_over_a_name) {
  Request request;
  BOOST_TEST(match(Method::get, "/v1/volumes/all", request).pattern == "/v1/volumes/all");
}

BOOST_AUTO_TEST_CASE(an_unknown_path_has_no_handler_and_no_methods) {
  for (const auto* path : {"/", "/v1", "/v1/volumes/", "/v1/volumes/a/b/c", "/v2/volumes", "/v1//volumes"}) {
    Request request;
    const auto found = match(Method::get, path, request);
    BOOST_TEST_CONTEXT(path) {
      BOOST_TEST(!found.handler);
      BOOST_TEST(found.allowed == "");
    }
  }
}

BOOST_AUTO_TEST_CASE(a_wrong_method_tells_the_right_ones) {
  Request request;
  const auto found = match(Method::del, "/v1/volumes", request);
  BOOST_TEST(!found.handler);
  BOOST_TEST(found.allowed == "GET, POST");
}

BOOST_AUTO_TEST_CASE(the_same_route_twice_is_a_mistake_of_the_program) {
  BOOST_CHECK_THROW(router.add(Method::get, "/v1/volumes/{other}", nothing), std::logic_error);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(json_body)

BOOST_AUTO_TEST_CASE(a_whole_body_is_read) {
  JsonObject body(R"({"name": "data1", "erase": true, "size": 7, "key": "AAE=", "list": ["a", "b"], "in": {"x": 1}})",
                  "it");
  BOOST_TEST(body.string("name") == "data1");
  BOOST_TEST(body.flag("erase"));
  BOOST_TEST(body.flag("missing", false) == false);
  BOOST_TEST(body.number("size") == 7u);
  BOOST_TEST(body.base64("key") == (Bytes{0, 1}), boost::test_tools::per_element());
  BOOST_TEST(body.strings("list").size() == 2u);
  auto inner = body.object("in");
  BOOST_TEST(inner.number("x") == 1u);
  BOOST_TEST(!body.optional_string("none"));
  inner.finish();
  body.finish();
}

BOOST_AUTO_TEST_CASE(an_unknown_member_is_named_with_the_known_ones) {
  JsonObject body(R"({"name": "a", "devise": "/dev/sdb"})", "the request's body");
  body.string("name");
  body.optional_string("device");
  const std::string text = refusal([&] { body.finish(); });
  BOOST_TEST(names(text, "cannot read the request's body"));
  BOOST_TEST(names(text, "\"devise\" is not known here; known are: device, name."));
}

BOOST_AUTO_TEST_CASE(a_wrong_type_or_a_missing_member_is_named) {
  const auto fresh = [] {
    return JsonObject(
        R"({"text": 1, "number": -1, "half": 1.5, "flag": "true", "key": "A", "id": "X", "list": [1], "in": []})",
        "it");
  };
  BOOST_TEST(names(refusal([&] { fresh().string("text"); }), "\"text\" is not a string"));
  BOOST_TEST(names(refusal([&] { fresh().number("number"); }), "\"number\" is not a whole number"));
  BOOST_TEST(names(refusal([&] { fresh().number("half"); }), "\"half\" is not a whole number"));
  BOOST_TEST(names(refusal([&] { fresh().flag("flag"); }), "\"flag\" is not true or false"));
  BOOST_TEST(names(refusal([&] { fresh().base64("key"); }), "\"key\" is not base64"));
  BOOST_TEST(names(refusal([&] { fresh().uuid("id"); }), "\"id\" is not a UUID"));
  BOOST_TEST(names(refusal([&] { fresh().strings("list"); }), "\"list\" is not an array of strings"));
  BOOST_TEST(names(refusal([&] { fresh().object("in"); }), "\"in\" is not an object"));
  BOOST_TEST(names(refusal([&] { fresh().string("gone"); }), "\"gone\" is missing"));
  BOOST_TEST(names(refusal([&] { fresh().base64("text"); }), "\"text\" is not a string"));
}

BOOST_AUTO_TEST_CASE(a_member_that_comes_twice_is_refused_at_any_depth) {
  BOOST_TEST(names(refusal([] { JsonObject(R"({"a": 1, "a": 2})", "it"); }), "\"a\" comes twice"));
  BOOST_TEST(names(refusal([] { JsonObject(R"({"x": [{"b": 1, "b": 1}]})", "it"); }), "\"b\" comes twice"));
  BOOST_TEST(refusal([] { JsonObject(R"({"x": {"b": 1}, "b": {"x": 1}})", "it"); }) == "");
}

BOOST_AUTO_TEST_CASE(what_is_no_json_object_is_refused) {
  for (const auto* bad : {"", " ", "[]", "1", "\"x\"", "null", "{", "{}x", "{\"a\":}", "{'a':1}", "{\"a\":1,}", "// {}",
                          "\xff{}", "{\"a\":\"\xff\"}", "{}{}", "NaN"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_CHECK_EXCEPTION(JsonObject(bad, "it"), Error, is_invalid); }
  }
}

BOOST_AUTO_TEST_CASE(depth_is_bounded) {
  const std::string deep = "{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}";
  BOOST_CHECK_EXCEPTION(JsonObject(deep, "it"), Error, is_invalid);
}

BOOST_AUTO_TEST_CASE(an_error_never_repeats_a_long_or_binary_name) {
  const std::string text = refusal([] {
    JsonObject body("{\"\\u0007" + std::string(200, 'x') + "\": 1}", "it");
    body.finish();
  });
  BOOST_TEST(text.size() < 300u);
  BOOST_TEST(names(text, "?xxx"));
}

BOOST_AUTO_TEST_SUITE_END()
