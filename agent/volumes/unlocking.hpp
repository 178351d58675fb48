// Unlocking: group keys for many volumes with few TPM batches. Requests that arrive while the TPM works wait together
// and are served by one batch per generation; volumes of one group share one operation. A group key lives only as long
// as somebody who asked for it holds it. Coroutines on the loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>

#include "agent/keys/node_keys.hpp"

namespace volcrypt::volumes {

namespace asio = boost::asio;
using GroupKey = std::shared_ptr<const Secret>;

class Unlocking {
 public:
  explicit Unlocking(keys::NodeKeys& keys);
  ~Unlocking();

  // To unwrap. Throws what KekStore::group_keys throws, to every waiter of the batch. A key that somebody still holds
  // is shared.
  asio::awaitable<GroupKey> group_key(keys::Generation generation, Uuid group);
  // To wrap: of the KEK that `record`, the cluster's, names (KekStore::proved_group_keys). Never shared with the
  // former, whose key may be an impostor's.
  asio::awaitable<GroupKey> proved_group_key(keys::KekRecord record, Uuid group);
  std::uint64_t batches() const noexcept;  // TPM batches so far; a test counts them

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace volcrypt::volumes
