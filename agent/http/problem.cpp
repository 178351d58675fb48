// Status and text of API errors.
#include "agent/http/problem.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace volcrypt::http {

namespace json = boost::json;

namespace {

constexpr unsigned retry_after_seconds = 1;

unsigned status_of(errc cause) noexcept {
  switch (cause) {
    case errc::invalid_argument:
      return 400;
    case errc::no_such_volume:
      return 404;
    case errc::not_ours:
    case errc::header_damaged:
    case errc::header_changed:
    case errc::token_malformed:
    case errc::token_version:
    case errc::wrong_cluster:
    case errc::wrong_generation:
    case errc::wrong_key:
    case errc::bad_signature:
    case errc::wrong_passphrase:
    case errc::too_old:
    case errc::impostor_kek:
      return 422;
    case errc::device_busy:
    case errc::device_not_blank:
    case errc::duplicate_volume:
    case errc::name_taken:
    case errc::not_attached:
    case errc::already_exists:
    case errc::wrong_state:
    case errc::conflict:
      return 409;
    case errc::sealed_out:
    case errc::tpm_cleared:
    case errc::tpm_absent:
    case errc::tpm_unsuitable:
    case errc::no_lockable_memory:
    case errc::limit_exceeded:
    case errc::peer_refused:
      return 503;
    case errc::timed_out:
      return 504;
    default:
      return 500;  // failures of the world, and causes that are newer than this table
  }
}

}  // namespace

unsigned status_of(const boost::system::error_code& cause) noexcept {
  return cause.category() == volcrypt_category() ? status_of(static_cast<errc>(cause.value())) : 500;
}

Response problem(unsigned status, const std::string& kind, const std::string& message, const std::string& way_out) {
  Response response;
  response.status = status;
  response.body = json::serialize(json::object{
                      {"error", json::object{{"kind", kind}, {"message", message}, {"wayOut", way_out}}}}) +
                  "\n";
  return response;
}

Response problem(const Error& error) {
  // what() ends with the way out; the API has it apart, so that a program can show one without the other.
  std::string message = "cannot " + error.operation();
  if (!error.object().empty()) message += " " + error.object();
  message += ": " + error.code().message();
  Response response = problem(status_of(error.code()), errc_name(error.code()), message, error.way_out());
  if (error.code() == errc::limit_exceeded) response.retry_after = retry_after_seconds;
  return response;
}

Response internal_problem() {
  return problem(500, "internal", "the request failed inside the agent",
                 "The journal has the reason: journalctl -u volcryptd.");
}

Response transport_problem(unsigned status, const std::string& message) {
  const char* kind = status == 503 ? "limit_exceeded" : status == 500 ? "internal" : "invalid_argument";
  if (status == 413 || status == 431) kind = "limit_exceeded";
  Response response = problem(status, kind, message, status == 503 ? "Try again in a moment." : "");
  if (status == 503) response.retry_after = retry_after_seconds;
  return response;
}

}  // namespace volcrypt::http
