// LocalPin: what this node remembers beside the store, so that a store rolled back to an older copy is noticed: the
// newest membership document (whole: attaching needs no store) and the highest generation number. It only moves
// forward. Coroutines on the loop; the file is touched on the worker.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>

#include "agent/cluster/pinned_state.hpp"
#include "agent/runtime/worker.hpp"

namespace volcrypt::cluster {

namespace asio = boost::asio;

class LocalPin {
 public:
  LocalPin(std::filesystem::path file, runtime::Worker& files);

  asio::awaitable<std::optional<PinnedState>> read();  // empty while the node belongs to no cluster
  // Call after the document was checked against the pin and adopted. Throws errc::too_old for an older version,
  // errc::bad_signature for another cluster or authority: once pinned, a node stays.
  asio::awaitable<void> see_membership(SignedMembership signed_document);
  // No-op when it is not above the number pinned, or nothing is pinned yet.
  asio::awaitable<void> see_generation(keys::Generation highest_used);

 private:
  struct File;
  std::shared_ptr<File> file_;
  runtime::Worker& files_;
};

}  // namespace volcrypt::cluster
