// Handlers of tokens, of nodes that wait to be admitted, and of this node's own request to join.
#include "agent/control/documents.hpp"
#include "agent/control/routes.hpp"
#include "agent/runtime/log.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::control {

namespace {

Uuid node_in(const http::Request& request) { return Uuid::parse(request.path_values.at("node")); }

}  // namespace

asio::awaitable<http::Response> Routes::make_token(http::Request request) {
  expect_no_query(request);
  TokenRequest wanted = parse_token_request(body_of(request));
  const TokenPlace place = co_await services_.admissions().add_token(std::move(wanted));
  runtime::log(runtime::Severity::notice, "a join token was made",
               {{"expires", std::to_string(place.expires)}, {"uid", std::to_string(request.peer.uid)}});
  co_return answer(render(place), 201);
}

asio::awaitable<http::Response> Routes::get_pending(http::Request request) {
  expect_plain(request);
  const auto nodes = co_await services_.admissions().pending();
  json::array all;
  for (const auto& node : nodes) all.emplace_back(render(node));
  co_return answer(json::object{{"pending", std::move(all)}});
}

asio::awaitable<http::Response> Routes::ask_pending(http::Request request) {
  expect_no_query(request);
  auto body = body_of(request);
  auto question = cluster::parse_admission_question(body.string("question"));
  body.finish();
  const Uuid node = node_in(request);
  co_await services_.admissions().ask(node, std::move(question));
  co_return answer(json::object{{"node", node.str()}});
}

asio::awaitable<http::Response> Routes::reject_pending(http::Request request) {
  expect_plain(request);
  const Uuid node = node_in(request);
  co_await services_.admissions().reject(node);
  runtime::log(runtime::Severity::notice, "a node that wanted to join was rejected",
               {{"node", node.str()}, {"uid", std::to_string(request.peer.uid)}});
  co_return answer(json::object{{"node", node.str()}});
}

asio::awaitable<http::Response> Routes::join_cluster(http::Request request) {
  expect_no_query(request);
  JoinOrder order = parse_join_order(body_of(request));
  const std::string at = order.address;
  co_await services_.admissions().join(std::move(order));
  runtime::log(runtime::Severity::notice, "asked to join the cluster; the authority decides", {{"member", at}});
  co_return answer(json::object{{"waiting", true}}, 202);
}

}  // namespace volcrypt::control
