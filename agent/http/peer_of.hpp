// Who is at the other end of a unix socket, as the kernel says. Any thread. Source: unix(7), SO_PEERCRED; socket(7).
#pragma once

#include "agent/http/message.hpp"

namespace volcrypt::http {

// User, process and all groups, as they were at connect(2). Throws Error with errno.
Peer peer_of(int socket);

}  // namespace volcrypt::http
