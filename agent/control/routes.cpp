// The table of routes, and what all handlers share.
#include "agent/control/routes.hpp"

#include <boost/json/serialize.hpp>

#include "dmtarget/error.hpp"

namespace volcrypt::control {

http::Router Routes::router() {
  http::Router router;
  const auto add = [&](http::Method method, const char* pattern, Verb verb) {
    router.add(method, pattern, [this, verb](http::Request request) { return (this->*verb)(std::move(request)); });
  };
  using http::Method;
  add(Method::get, "/v1/clusterinfo", &Routes::get_clusterinfo);
  add(Method::post, "/v1/cluster", &Routes::init_cluster);
  add(Method::get, "/v1/cluster/membership", &Routes::get_membership);
  add(Method::put, "/v1/cluster/membership", &Routes::put_membership);
  add(Method::post, "/v1/features/cluster-encryption", &Routes::set_feature_flag);
  add(Method::post, "/v1/encryption", &Routes::enable_encryption);
  add(Method::post, "/v1/encryption/check", &Routes::check_encryption);
  add(Method::post, "/v1/rotation", &Routes::start_rotation);
  add(Method::get, "/v1/rotation", &Routes::get_rotation);
  add(Method::del, "/v1/rotation", &Routes::abort_rotation);

  add(Method::get, "/v1/volumes", &Routes::get_volumes);
  add(Method::post, "/v1/volumes", &Routes::create_volume);
  add(Method::get, "/v1/volumes/{name}", &Routes::get_volume);
  add(Method::del, "/v1/volumes/{name}", &Routes::delete_volume);
  add(Method::post, "/v1/volumes/{name}/attach", &Routes::attach_volume);
  add(Method::post, "/v1/volumes/{name}/detach", &Routes::detach_volume);
  add(Method::post, "/v1/volumes/{name}/forget", &Routes::forget_volume);
  add(Method::get, "/v1/volumes/{name}/header", &Routes::get_header);
  add(Method::put, "/v1/volumes/{name}/header", &Routes::put_header);
  add(Method::post, "/v1/devices/attach", &Routes::attach_device);
  add(Method::get, "/v1/settled", &Routes::get_settled);

  add(Method::post, "/v1/node/identity", &Routes::make_identity);
  add(Method::get, "/v1/node/boot-state", &Routes::get_boot_state);
  add(Method::get, "/v1/node/port", &Routes::get_port);
  add(Method::post, "/v1/tokens", &Routes::make_token);
  add(Method::post, "/v1/join", &Routes::join_cluster);
  add(Method::get, "/v1/pending-nodes", &Routes::get_pending);
  add(Method::post, "/v1/pending-nodes/{node}/question", &Routes::ask_pending);
  add(Method::del, "/v1/pending-nodes/{node}", &Routes::reject_pending);
  add(Method::get, "/v1/recovery/bundle", &Routes::get_recovery_bundle);
  add(Method::post, "/v1/recovery/verified", &Routes::recovery_verified);
  add(Method::get, "/v1/store", &Routes::get_store);
  add(Method::put, "/v1/store", &Routes::put_store);
  add(Method::get, "/v1/version", &Routes::get_version);
  add(Method::get, "/metrics", &Routes::get_metrics);
  return router;
}

http::JsonObject body_of(const http::Request& request) {
  return {request.body.empty() ? std::string_view("{}") : std::string_view(request.body), "the request's body"};
}

void expect_no_query(const http::Request& request) {
  if (request.query.empty()) return;
  throw Error(errc::invalid_argument,
              {"read", "the request's target",
               "The query parameter '" + request.query.begin()->first + "' is not known here."});
}

void expect_plain(const http::Request& request) {
  expect_no_query(request);
  body_of(request).finish();
}

http::Response answer(const boost::json::value& value, unsigned status) {
  http::Response response;
  response.status = status;
  response.body = boost::json::serialize(value) + "\n";
  return response;
}

}  // namespace volcrypt::control
