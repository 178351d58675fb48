// See peer_of.hpp.
#include "agent/http/peer_of.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "dmtarget/error.hpp"

namespace volcrypt::http {

Peer peer_of(int socket) {
  Peer peer;
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    throw Error(errno_code(errno), {"ask for the peer of", "a control connection", ""});
  }
  peer.uid = credentials.uid;
  peer.pid = credentials.pid;
  peer.groups.assign(1, credentials.gid);
  // SO_PEERCRED knows the primary group only; operators are in their group by a supplementary entry (Linux 4.13).
  std::vector<gid_t> more(32);
  for (int tries = 0; tries < 8; ++tries) {
    auto bytes = static_cast<socklen_t>(more.size() * sizeof(gid_t));
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, more.data(), &bytes) == 0) {
      peer.groups.insert(peer.groups.end(), more.begin(), more.begin() + bytes / sizeof(gid_t));
      break;
    }
    if (errno != ERANGE) break;  // the primary group alone decides then: never more rights than the peer has
    more.resize(bytes / sizeof(gid_t));
  }
  return peer;
}

}  // namespace volcrypt::http
