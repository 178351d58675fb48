// What becomes of the cluster's membership, as lines of the journal: a cluster that is made, boot states that are
// approved. Any thread.
#pragma once

#include <optional>
#include <string>

#include "agent/cluster/membership.hpp"

namespace volcrypt {

// `before`: the document that was in force; empty at `cluster init`. Both are valid documents. The same one twice is no
// news.
void tell_membership(const std::optional<cluster::SignedMembership>& before, const cluster::SignedMembership& after);

}  // namespace volcrypt
