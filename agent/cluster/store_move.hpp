// Moving a cluster's state from one store to another. While it is copied, and until finish_move, the new store carries
// a mark, so that a move that was cut off is known as such and can be begun again; the old store is only read. Leases
// are not moved: whoever held one takes it anew. Coroutines on the loop.
#pragma once

#include "agent/cluster/store.hpp"
#include "dmtarget/uuid.hpp"

namespace volcrypt::cluster {

// `from` must not change meanwhile. Everything is read back and compared before this returns. Throws Error:
// errc::wrong_state when `to` has anything but what an earlier move of this cluster left, errc::conflict when somebody
// else writes there, errc::store_damaged when what is read back is not what was written, or as the stores do. `to` then
// keeps its mark, and `from` is as it was.
asio::awaitable<void> copy_store(Store& from, Store& to, Uuid cluster);

// Once `to` is in use: takes the mark away. Idempotent.
asio::awaitable<void> finish_move(Store& to);

}  // namespace volcrypt::cluster
