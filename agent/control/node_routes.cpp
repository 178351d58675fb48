// Handlers of this node: identity, boot state, recovery, version, metrics.
#include <algorithm>
#include <ctime>

#include "agent/control/documents.hpp"
#include "agent/control/render.hpp"
#include "agent/control/routes.hpp"
#include "agent/runtime/log.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::control {

namespace {

std::string now_rfc3339() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  const auto size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, size};
}

std::string generations_of(const keys::RecoveryBundle& bundle) {
  std::string all;
  for (const auto& blob : bundle.blobs) all += (all.empty() ? "" : ",") + std::to_string(blob.generation);
  return all;
}

}  // namespace

asio::awaitable<http::Response> Routes::make_identity(http::Request request) {
  expect_no_query(request);
  EnrolRequest wanted = parse_enrol_request(body_of(request));
  const EnrolledNode node = co_await services_.enrol(std::move(wanted));
  co_return answer(render(node));
}

asio::awaitable<http::Response> Routes::get_boot_state(http::Request request) {
  expect_plain(request);
  const keys::BootReport report = co_await services_.boot_report();
  const auto signed_membership = co_await services_.membership();
  std::optional<cluster::Membership> membership;
  const cluster::MemberEntry* self = nullptr;
  if (signed_membership) {
    membership = cluster::parse_membership(signed_membership->document);
    const auto found = std::find_if(membership->members.begin(), membership->members.end(),
                                    [&](const auto& member) { return member.node == services_.node(); });
    if (found != membership->members.end()) self = &*found;
  }
  const auto secure_boot = co_await services_.secure_boot();
  co_return answer(render_boot_state(report, secure_boot, self));
}

asio::awaitable<http::Response> Routes::get_port(http::Request request) {
  expect_plain(request);
  const Listening listening = services_.listening();
  json::array addresses(listening.addresses.begin(), listening.addresses.end());
  co_return answer(json::object{{"node", services_.node().str()},
                                {"tlsFingerprint", to_base64(listening.tls_fingerprint)},
                                {"addresses", std::move(addresses)}});
}

asio::awaitable<http::Response> Routes::get_recovery_bundle(http::Request request) {
  expect_plain(request);
  const keys::RecoveryBundle bundle = co_await services_.recovery_bundle();
  http::Response response;
  response.body = keys::to_json(bundle);  // the file of `recovery export`, as it is
  co_return response;
}

asio::awaitable<http::Response> Routes::recovery_verified(http::Request request) {
  expect_no_query(request);
  auto body = body_of(request);
  const std::vector<std::string> names = body.strings("names");
  body.finish();
  const keys::RecoveryBundle bundle = co_await services_.recovery_bundle();
  for (const auto& blob : bundle.blobs) {
    if (std::find(names.begin(), names.end(), to_hex(blob.name)) != names.end()) continue;
    throw Error(errc::conflict,
                {"record the verification of", "the recovery key",
                 "Generation " + std::to_string(blob.generation) +
                     " is not among what was verified; run `volcryptctl recovery verify --recovery-file FILE` again."});
  }
  if (bundle.blobs.empty()) {
    throw Error(errc::wrong_state, {"record the verification of", "the recovery key",
                                    "There is no KEK yet: run `volcryptctl enable cluster-encryption` first."});
  }
  const std::string when = now_rfc3339();
  std::vector<Bytes> opened;
  for (const auto& blob : bundle.blobs) opened.push_back(blob.name);
  const bool changed = co_await services_.cluster().recovery_was_verified(when, std::move(opened));
  runtime::log(runtime::Severity::notice, "the recovery key opened every recovery blob",
               {{"generations", generations_of(bundle)}, {"uid", std::to_string(request.peer.uid)}});
  co_return answer(json::object{{"changed", changed}, {"verifiedAt", when}});
}

asio::awaitable<http::Response> Routes::get_version(http::Request request) {
  expect_plain(request);
  co_return answer(json::object{{"version", VOLCRYPT_VERSION}, {"api", "v1"}});
}

asio::awaitable<http::Response> Routes::get_metrics(http::Request request) {
  expect_plain(request);
  http::Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = co_await services_.metrics_text();
  co_return response;
}

}  // namespace volcrypt::control
