// The spelling of a server, see https_server.hpp.
#include "agent/http/https_server.hpp"

namespace volcrypt::http {

std::string to_text(const HttpsServer& server) {
  const bool brackets = server.host.find(':') != std::string::npos;
  return (brackets ? "[" + server.host + "]" : server.host) + ":" + std::to_string(server.port);
}

}  // namespace volcrypt::http
