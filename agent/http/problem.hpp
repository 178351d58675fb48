// Errors as both APIs, the control socket's and port 4007's, show them: HTTP status and {"error": {"kind", "message",
// "wayOut"}}. The kinds are errc_name's, a stable interface; each has exactly one status. Pure. Any thread.
#pragma once

#include <exception>
#include <string>

#include "agent/http/message.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::http {

// 400 for a wrong request, 403 for a forbidden one, 404 not found, 409 refused by the state of things, 422 for a
// document or device that is what it must not be, 503 where waiting or repair outside helps, 504 timed out. 503 also
// for limit_exceeded: behind a route the limits are queues and memory. A body that is too large (413) never gets that
// far.
unsigned status_of(const boost::system::error_code& cause) noexcept;

Response problem(unsigned status, const std::string& kind, const std::string& message, const std::string& way_out);
Response problem(const Error& error);
// For what is no Error: bad_alloc and whatever libraries throw. Kind "internal"; the text stays in the log.
Response internal_problem();
// The HTTP server's own refusals.
Response transport_problem(unsigned status, const std::string& message);

}  // namespace volcrypt::http
