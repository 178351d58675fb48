// PinnedState: the document of LocalPin, as text. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "agent/cluster/membership.hpp"

namespace volcrypt::cluster {

inline constexpr std::size_t pinned_state_limit = 1024 * 1024;  // bytes

struct PinnedState {
  Pin pin;
  keys::Generation highest_used = 0;
  SignedMembership newest;
};

std::string to_json(const PinnedState& pinned);
PinnedState parse_pinned_state(std::string_view json);  // strict; errc::store_damaged, errc::token_version

}  // namespace volcrypt::cluster
