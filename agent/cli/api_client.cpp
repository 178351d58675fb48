// Calls of the agent's API.
#include "agent/cli/api_client.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <memory>
#include <thread>

#include "agent/cli/exit_status.hpp"
#include "agent/cli/output.hpp"
#include "agent/http/json_body.hpp"

namespace volcrypt::cli {

namespace {

constexpr int busy_retries = 30;  // one a second: many drives attach at once at boot

[[noreturn]] void throw_unreachable(const Error& error, const std::string& socket) {
  const auto& cause = error.code();
  if (cause == boost::system::errc::permission_denied) {
    throw Failure(ExitStatus::forbidden, "cannot reach the agent on " + socket +
                                             ": permission denied. Run it as root or as a member of group volcrypt.");
  }
  throw Failure(ExitStatus::unreachable, "cannot reach the agent on " + socket + ": " + cause.message() +
                                             ". Look whether it runs: systemctl status volcryptd.");
}

[[noreturn]] void throw_problem(const http::Response& response) {
  json::value problem;
  try {
    problem = http::parse_json(response.body, "the agent's answer");
  } catch (const Error&) {  // the status alone is then all there is to say
    throw Failure(ExitStatus::failed,
                  "cannot read the agent's answer: HTTP status " + std::to_string(response.status) + ".");
  }
  const std::string kind = text_at(problem, {"error", "kind"});
  std::string text = text_at(problem, {"error", "message"});
  if (!text.empty() && text.back() != '.') text += '.';
  const std::string way_out = text_at(problem, {"error", "wayOut"});
  if (!way_out.empty() && way_out != "-") text += " " + way_out;
  throw Failure(exit_status_of(kind, response.status), text);
}

}  // namespace

http::Response ApiClient::call(http::Method method, const std::string& target, const std::string& body,
                               std::chrono::seconds deadline) {
  for (int tries = 0;; ++tries) {
    // A connection for each call: between two of them a person may type passphrases for longer than the agent keeps an
    // idle connection, and a request on a closed one would fail with an unknown outcome.
    std::unique_ptr<http::Client> client;
    try {
      client = std::make_unique<http::Client>(socket_, deadline);
    } catch (const Error& error) {
      throw_unreachable(error, socket_.native());
    }
    http::Response response;
    try {
      response = client->request(method, target, body, deadline);
    } catch (const Error& error) {
      throw Failure(error.code() == errc::timed_out ? ExitStatus::timed_out : ExitStatus::unreachable, error.what());
    }
    if (response.status < 400) return response;
    // Too many connections, or a full queue inside. Verbs are idempotent: it is safe to send it again.
    const bool busy = response.status == 503 && response.body.find("\"limit_exceeded\"") != std::string::npos;
    if (!busy || tries == busy_retries) throw_problem(response);
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

std::string ApiClient::get_text(const std::string& target, std::chrono::seconds deadline) {
  return call(http::Method::get, target, "", deadline).body;
}

json::value ApiClient::get(const std::string& target, std::chrono::seconds deadline) {
  return http::parse_json(get_text(target, deadline), "the agent's answer");
}

json::value ApiClient::post(const std::string& target, const json::value& body, std::chrono::seconds deadline) {
  return http::parse_json(call(http::Method::post, target, json::serialize(body), deadline).body, "the agent's answer");
}

json::value ApiClient::put(const std::string& target, const json::value& body, std::chrono::seconds deadline) {
  return http::parse_json(call(http::Method::put, target, json::serialize(body), deadline).body, "the agent's answer");
}

json::value ApiClient::del(const std::string& target, std::chrono::seconds deadline) {
  return http::parse_json(call(http::Method::del, target, "", deadline).body, "the agent's answer");
}

}  // namespace volcrypt::cli
