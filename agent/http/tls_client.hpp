// The HTTP client on TCP under TLS: one request to one node, on a connection of its own. The node has several
// addresses, and one key that it must prove before it learns anything of the request. Coroutine on the loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "agent/http/message.hpp"
#include "agent/http/tls.hpp"

namespace volcrypt::http {

namespace asio = boost::asio;

struct TlsPeer {
  std::string name;                                // for errors
  std::vector<asio::ip::tcp::endpoint> addresses;  // tried in this order; at least one
  Fingerprint key{};
};

struct TlsRequest {
  Method method = Method::get;
  std::string target = {};                     // escaped already
  std::string body = {};                       // JSON; no secret passes through HTTP here
  std::chrono::milliseconds deadline{10000};   // of everything, the answer's last byte included
  std::size_t answer_bytes = 4 * 1024 * 1024;  // a longer answer is errc::limit_exceeded
};

// The whole answer, whatever its status. Each address gets its share of the deadline to connect and prove the key, so
// that a silent one does not cost the others. Throws Error: errno or errc::timed_out when no address answers,
// errc::peer_refused when one did with another key; the text names each address and its cause. Once the request was
// sent no other address is tried: errc::timed_out or the transport's cause, and "its effect is unknown".
asio::awaitable<Response> ask(TlsIdentity identity, TlsPeer peer, TlsRequest request);

}  // namespace volcrypt::http
