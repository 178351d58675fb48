// Admission by the peer's credentials.
#include "agent/control/access.hpp"
#include "agent/http/problem.hpp"

#include <grp.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace volcrypt::control {

std::optional<gid_t> group_id(const std::string& name) {
  std::vector<char> buffer(4096);
  for (;;) {
    group entry{};
    group* found = nullptr;
    const int failed = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (failed == ERANGE && buffer.size() < 1024 * 1024) {  // a group with very many members
      buffer.resize(buffer.size() * 4);
      continue;
    }
    if (found) return entry.gr_gid;
    // Several C libraries report "no such group" by an error of their own choice (getgrnam(3), NOTES).
    if (failed == 0 || failed == ENOENT || failed == ESRCH || failed == EBADF || failed == EPERM) return std::nullopt;
    throw Error(errno_code(failed), {"look up the group", name, ""});
  }
}

std::optional<http::Response> refuse_stranger(const http::Peer& peer, const std::optional<gid_t>& group) {
  if (peer.uid == 0) return std::nullopt;
  if (group && std::find(peer.groups.begin(), peer.groups.end(), *group) != peer.groups.end()) return std::nullopt;
  return http::problem(
      403, "forbidden", "user " + std::to_string(peer.uid) + " may not control volcrypt",
      "Run it as root, or let root add the user to the group: usermod -a -G volcrypt USER, then log in again.");
}

}  // namespace volcrypt::control
