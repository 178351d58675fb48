// Routes: the operator's REST API, one handler per route, each a thin step from a checked request to a service's verb
// and from its answer to JSON. Described by openapi.yaml, which a test compares with router(). Handlers throw Error;
// api.cpp makes problems of them. Coroutines on the loop. Handlers are in cluster_routes, volume_routes,
// node_routes, admission_routes and store_routes.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "agent/control/services.hpp"
#include "agent/http/json_body.hpp"
#include "agent/http/router.hpp"

namespace volcrypt::control {

class Routes {
 public:
  // `services` must outlive the router and every request under way.
  explicit Routes(Services& services) : services_(services) {}
  http::Router router();

 private:
  using Answer = asio::awaitable<http::Response>;
  using Verb = Answer (Routes::*)(http::Request);

  // cluster_routes.cpp
  Answer get_clusterinfo(http::Request request);
  Answer init_cluster(http::Request request);
  asio::awaitable<bool> is_news(const cluster::SignedMembership& membership);
  Answer get_membership(http::Request request);
  Answer put_membership(http::Request request);
  Answer set_feature_flag(http::Request request);
  Answer enable_encryption(http::Request request);
  Answer check_encryption(http::Request request);
  Answer start_rotation(http::Request request);
  Answer get_rotation(http::Request request);
  Answer abort_rotation(http::Request request);

  // volume_routes.cpp
  Answer get_volumes(http::Request request);
  Answer get_volume(http::Request request);
  Answer create_volume(http::Request request);
  Answer delete_volume(http::Request request);
  Answer forget_volume(http::Request request);
  Answer attach_volume(http::Request request);
  Answer detach_volume(http::Request request);
  Answer attach_device(http::Request request);
  Answer get_header(http::Request request);
  Answer put_header(http::Request request);
  Answer get_settled(http::Request request);

  // node_routes.cpp
  Answer make_identity(http::Request request);
  Answer get_boot_state(http::Request request);
  Answer get_port(http::Request request);
  Answer get_recovery_bundle(http::Request request);
  Answer recovery_verified(http::Request request);
  Answer get_version(http::Request request);
  Answer get_metrics(http::Request request);

  // admission_routes.cpp
  Answer make_token(http::Request request);
  Answer get_pending(http::Request request);
  Answer ask_pending(http::Request request);
  Answer reject_pending(http::Request request);
  Answer join_cluster(http::Request request);

  // store_routes.cpp
  Answer get_store(http::Request request);
  Answer put_store(http::Request request);

  Services& services_;
};

// For handlers. A body that is missing reads as {}.
http::JsonObject body_of(const http::Request& request);
// Refuses query parameters and a body that the route does not have. Throws Error(errc::invalid_argument).
void expect_plain(const http::Request& request);
void expect_no_query(const http::Request& request);
http::Response answer(const boost::json::value& value, unsigned status = 200);

}  // namespace volcrypt::control
