// Handlers of the cluster: status, init, membership, feature flag, enabling, rotation.
#include "agent/control/documents.hpp"
#include "agent/control/render.hpp"
#include "agent/control/routes.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::control {

namespace {

keys::Protection protection_in(const http::Request& request) {
  auto body = body_of(request);
  const auto protection = parse_protection(body.optional_string("protection").value_or("tpm"));
  body.finish();
  return protection;
}

}  // namespace

asio::awaitable<http::Response> Routes::get_clusterinfo(http::Request request) {
  expect_plain(request);
  const cluster::ClusterInfo info = co_await services_.cluster().info();
  co_return answer(render(info));
}

// The document counts: the same one may have been signed twice.
asio::awaitable<bool> Routes::is_news(const cluster::SignedMembership& membership) {
  const auto present = co_await services_.membership();
  co_return !present || present->document != membership.document;
}

asio::awaitable<http::Response> Routes::init_cluster(http::Request request) {
  expect_no_query(request);
  cluster::SignedMembership membership = parse_signed_membership(body_of(request));
  const bool changes = co_await is_news(membership);
  co_await services_.init_cluster(std::move(membership));
  co_return answer(json::object{{"changed", changes}}, changes ? 201 : 200);
}

asio::awaitable<http::Response> Routes::get_membership(http::Request request) {
  expect_plain(request);
  const auto membership = co_await services_.membership();
  if (!membership) {
    throw Error(errc::wrong_state,
                {"show", "the membership document", "There is no cluster yet: run `volcryptctl cluster init`."});
  }
  co_return answer(render(*membership));
}

asio::awaitable<http::Response> Routes::put_membership(http::Request request) {
  expect_no_query(request);
  cluster::SignedMembership membership = parse_signed_membership(body_of(request));
  const bool changes = co_await is_news(membership);
  co_await services_.update_membership(std::move(membership));
  co_return answer(json::object{{"changed", changes}});
}

asio::awaitable<http::Response> Routes::set_feature_flag(http::Request request) {
  expect_plain(request);
  const cluster::ClusterInfo before = co_await services_.cluster().info();
  co_await services_.cluster().set_feature_flag();
  co_return answer(json::object{{"changed", !before.encryption.feature_flag}});
}

asio::awaitable<http::Response> Routes::enable_encryption(http::Request request) {
  expect_no_query(request);
  const auto protection = protection_in(request);
  const cluster::ClusterInfo before = co_await services_.cluster().info();
  co_await services_.cluster().enable(protection);
  const bool was_enabled = before.encryption.phase == cluster::EncryptionPhase::Enabled;
  co_return answer(json::object{{"changed", !was_enabled}});
}

asio::awaitable<http::Response> Routes::check_encryption(http::Request request) {
  expect_no_query(request);
  const auto protection = protection_in(request);
  const std::vector<cluster::EnableCheck> checks = co_await services_.cluster().check_enable(protection);
  bool ready = true;
  for (const auto& check : checks) ready = ready && check.failures.empty();
  co_return answer(json::object{{"ready", ready}, {"nodes", render(checks)}});
}

asio::awaitable<http::Response> Routes::start_rotation(http::Request request) {
  expect_plain(request);
  const cluster::Generation generation = co_await services_.cluster().rotate();
  co_return answer(json::object{{"generation", generation}}, 202);
}

asio::awaitable<http::Response> Routes::abort_rotation(http::Request request) {
  expect_plain(request);
  const std::optional<cluster::Generation> burnt = co_await services_.cluster().abort_rotation();
  json::object body{{"changed", burnt.has_value()}, {"burntKekGeneration", nullptr}};
  if (burnt) body["burntKekGeneration"] = *burnt;
  co_return answer(body);
}

asio::awaitable<http::Response> Routes::get_rotation(http::Request request) {
  expect_plain(request);
  const cluster::RotationView rotation = co_await services_.cluster().rotation();
  co_return answer(render(rotation));
}

}  // namespace volcrypt::control
