// From a request to its answer, and what the journal and the metrics get of it.
#include "agent/control/api.hpp"

#include "agent/control/access.hpp"
#include "agent/http/problem.hpp"
#include "agent/runtime/log.hpp"
#include "agent/runtime/metrics.hpp"

namespace volcrypt::control {

namespace {

// What the log says of a request: method, path and who; never the body.
struct Subject {
  std::string request;
  std::string user;
};

Subject subject_of(const http::Request& request) {
  return {std::string(http::to_text(request.method)) + " " + request.path, std::to_string(request.peer.uid)};
}

// A wrong request or an unknown name is the caller's affair; the rest is a failure of the operator's work.
runtime::Severity severity_of(unsigned status) {
  return status == 400 || status == 404 ? runtime::Severity::info : runtime::Severity::error;
}

}  // namespace

Api::Api(Services& services, std::optional<gid_t> group)
    : services_(services), group_(group), routes_(services), router_(routes_.router()) {}

asio::awaitable<http::Response> Api::handle(http::Request request, std::string target) {
  Subject subject;
  http::Response failure;
  std::string cause, kind = "internal";
  try {
    http::Router::Match match = router_.match(request, target);
    subject = subject_of(request);
    if (!match.handler) {
      if (match.allowed.empty()) {
        co_return http::problem(404, "no_such_route", "nothing stands at " + request.path,
                                "See openapi.yaml for what does; the API's prefix is /v1.");
      }
      auto response = http::problem(405, "method_not_allowed", subject.request + " is not possible",
                                    "Allowed: " + match.allowed + ".");
      response.allow = match.allowed;
      co_return response;
    }
    const bool changes = request.method != http::Method::get;
    http::Response response = co_await match.handler(std::move(request));
    if (changes) {
      runtime::log(runtime::Severity::notice, "request done", {{"request", subject.request}, {"uid", subject.user}});
    }
    co_return response;
  } catch (const Error& error) {
    failure = http::problem(error);
    cause = error.what();
    kind = errc_name(error.code());
    services_.metrics().add_error(kind);
  } catch (const std::exception& error) {
    failure = http::internal_problem();
    cause = error.what();
    services_.metrics().add_error(kind);
  }
  runtime::log(severity_of(failure.status), "request failed: " + cause,
               {{"request", subject.request}, {"uid", subject.user}, {"error", kind}});
  co_return failure;
}

http::Application Api::application() {
  http::Application application;
  application.admit = [this](const http::Peer& peer) { return refuse_stranger(peer, group_); };
  application.handle = [this](http::Request request, std::string target) {
    return handle(std::move(request), std::move(target));
  };
  application.refuse = http::transport_problem;
  application.failed = [](const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      runtime::log(runtime::Severity::error, std::string("request failed: ") + error.what());
    }
  };
  return application;
}

ControlServer::ControlServer(asio::any_io_executor executor, Services& services, std::filesystem::path socket,
                             std::optional<gid_t> group, http::Limits limits)
    : api_(services, group),
      server_(std::move(executor), {std::move(socket), 0660, group}, limits, api_.application()) {}

}  // namespace volcrypt::control
