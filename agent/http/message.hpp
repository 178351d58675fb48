// HTTP requests and responses as values, without Beast: what routes read and return, and what the client sends and
// gets. Bodies are JSON or text and never secret (no secret passes through HTTP here). Any thread.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dmtarget/bytes.hpp"

namespace volcrypt::http {

enum class Method { get, post, put, del };

std::string_view to_text(Method method) noexcept;  // "GET", "POST", "PUT", "DELETE"

// Who is at the other end, taken at connect time: of a unix socket as the kernel knows it (SO_PEERCRED, SO_PEERGROUPS),
// of a TLS connection by the key that it proved to have.
struct Peer {
  uid_t uid = static_cast<uid_t>(-1);
  pid_t pid = 0;
  std::vector<gid_t> groups;      // primary group first, then the supplementary ones
  std::optional<Digest> tls_key;  // fingerprint (tls.hpp); empty on a unix socket
  std::string address;            // "192.0.2.7", "2001:db8::7"; empty on a unix socket
};

struct Request {
  Method method = Method::get;
  std::string path;                                // decoded, "/v1/volumes/data1"
  std::map<std::string, std::string> query;        // decoded; a name that comes twice is refused
  std::map<std::string, std::string> path_values;  // what the route's {names} stood for; filled by the Router
  std::string body;
  Peer peer;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string allow;         // for 405: the header Allow
  unsigned retry_after = 0;  // seconds, for 503; 0: no header
};

// Splits and decodes "/path?name=value&..." into path and query. Throws Error(errc::invalid_argument) on anything that
// RFC 3986 does not allow there: no leading slash, a bad escape, a control character, "." or ".." as a segment.
struct Target {
  std::vector<std::string> segments;  // decoded one by one, so that an escaped slash stays inside its segment
  std::map<std::string, std::string> query;
};
Target parse_target(std::string_view target);

// For the client: escapes everything but RFC 3986's unreserved characters.
std::string escape(std::string_view text);

}  // namespace volcrypt::http
