// TLS 1.3 between nodes: each end proves a P-256 key, shown in a certificate of its own making, and the key's
// fingerprint is all that counts of it. No chains, names, dates or resumption, so a node whose clock is wrong connects
// as well. OpenSSL only: no sockets, no Beast. Sources: RFC 8446; RFC 5280 4.1 (certificate), 4.1.2.5 (no end date).
#pragma once

#include <boost/system/error_code.hpp>
#include <memory>

#include "dmtarget/bytes.hpp"

struct evp_pkey_st;
struct ssl_st;
namespace boost::asio::ssl {
class context;
}

namespace volcrypt::http {

// SHA-256 over the SubjectPublicKeyInfo in DER: what the membership document pins.
using Fingerprint = Digest;

// What this node shows of itself. A value that is shared; used on the loop's thread.
class TlsIdentity {
 public:
  // `key`: P-256 with its private part, which stays in the memory where OpenSSL has it. Throws
  // Error(errc::invalid_argument) for any other key, errc::wrong_state when OpenSSL fails.
  explicit TlsIdentity(evp_pkey_st& key);

  const Fingerprint& fingerprint() const noexcept;
  boost::asio::ssl::context& context() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Before the handshake: the only key that the other end may have. Not called: any P-256 key passes, and
// peer_fingerprint says which. `expected` lives as long as the connection.
void expect_peer(ssl_st& connection, const Fingerprint& expected);

// Whether a handshake failed because the other end has another key than it was expected to.
bool is_other_key(const boost::system::error_code& failed) noexcept;

// After the handshake. Throws Error(errc::peer_refused) when the other end showed no key.
Fingerprint peer_fingerprint(ssl_st& connection);

}  // namespace volcrypt::http
