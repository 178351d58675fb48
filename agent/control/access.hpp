// Who may use the control socket: root and members of group volcrypt. The socket file's mode says the same; this check
// holds when the file's mode was changed, and it says the way out. Any thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "agent/http/message.hpp"

namespace volcrypt::control {

inline constexpr const char* operators_group = "volcrypt";

// Empty when the group does not exist: then only root is let in. Throws Error with errno when that cannot be told.
std::optional<gid_t> group_id(const std::string& name);

// Empty: admitted. Otherwise the 403 to answer with.
std::optional<http::Response> refuse_stranger(const http::Peer& peer, const std::optional<gid_t>& group);

}  // namespace volcrypt::control
