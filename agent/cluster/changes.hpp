// What happened between two encryption states, in words: one line of the journal per change. Pure. Any thread.
#pragma once

#include <string>
#include <vector>

#include "agent/cluster/state.hpp"

namespace volcrypt::cluster {

struct Change {
  std::string text;
  Generation generation = 0;  // 0: it concerns none
};

// In the order in which they are to be told. Empty when only a member's progress differs.
std::vector<Change> changes(const EncryptionState& before, const EncryptionState& after);

}  // namespace volcrypt::cluster
