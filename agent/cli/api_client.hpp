// ApiClient: the agent's REST API as calls that return JSON, and its problems as Failures with their exit code.
// Connects for each call. Blocking; one thread.
#pragma once

#include <boost/json/value.hpp>
#include <chrono>
#include <filesystem>
#include <string>

#include "agent/http/client.hpp"

namespace volcrypt::cli {

namespace json = boost::json;

inline constexpr std::chrono::seconds ordinary_deadline{30};
// Above the agent's own deadlines, which name the call that did not come back.
inline constexpr std::chrono::seconds long_deadline{300};     // what waits for a TPM or formats a drive
inline constexpr std::chrono::seconds erasing_deadline{960};  // the discard of a large drive

class ApiClient {
 public:
  explicit ApiClient(std::filesystem::path socket) : socket_(std::move(socket)) {}

  json::value get(const std::string& target, std::chrono::seconds deadline = ordinary_deadline);
  json::value post(const std::string& target, const json::value& body, std::chrono::seconds deadline = long_deadline);
  json::value put(const std::string& target, const json::value& body, std::chrono::seconds deadline = long_deadline);
  json::value del(const std::string& target, std::chrono::seconds deadline = long_deadline);
  // The body as it came: for a document whose spelling counts.
  std::string get_text(const std::string& target, std::chrono::seconds deadline = ordinary_deadline);

 private:
  http::Response call(http::Method method, const std::string& target, const std::string& body,
                      std::chrono::seconds deadline);

  std::filesystem::path socket_;
};

}  // namespace volcrypt::cli
