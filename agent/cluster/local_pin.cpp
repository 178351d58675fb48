// The pin's file: one JSON document, replaced durably, see local_pin.hpp.
#include "agent/cluster/local_pin.hpp"

#include "agent/runtime/durable_file.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

using namespace std::chrono_literals;

namespace {

constexpr auto deadline = 30s;

}  // namespace

// Blocking; the lock makes each read-and-replace one step.
struct LocalPin::File {
  const std::filesystem::path path;
  std::mutex mutex;

  explicit File(std::filesystem::path file) : path(std::move(file)) {}

  std::optional<PinnedState> read() {
    const auto bytes = runtime::read_file(path, pinned_state_limit);
    if (!bytes) return std::nullopt;
    return parse_pinned_state({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  }

  void write(const PinnedState& pinned) { runtime::write_durably(path, as_bytes(to_json(pinned))); }

  void see_membership(const SignedMembership& signed_document) {
    const std::lock_guard lock(mutex);
    const auto before = read();
    const auto membership = open_membership(signed_document, before ? &before->pin : nullptr);
    if (before && before->newest.document == signed_document.document) return;
    if (before && membership.version == before->pin.newest_seen) {
      throw Error(errc::too_old,
                  {"accept", "another membership document of version " + std::to_string(membership.version),
                   "Every change needs a higher version."});
    }
    write({{membership.cluster, membership.authority_public, membership.version},
           before ? before->highest_used : 0,
           signed_document});
  }

  void see_generation(keys::Generation highest_used) {
    const std::lock_guard lock(mutex);
    auto pinned = read();
    if (!pinned || pinned->highest_used >= highest_used) return;
    pinned->highest_used = highest_used;
    write(*pinned);
  }
};

LocalPin::LocalPin(std::filesystem::path file, runtime::Worker& files)
    : file_(std::make_shared<File>(std::move(file))), files_(files) {}

asio::awaitable<std::optional<PinnedState>> LocalPin::read() {
  auto call = [file = file_] {
    const std::lock_guard lock(file->mutex);
    return file->read();
  };
  co_return co_await files_.run("read the cluster's pin", deadline, std::move(call));
}

asio::awaitable<void> LocalPin::see_membership(SignedMembership signed_document) {
  auto call = [file = file_, document = std::move(signed_document)] { file->see_membership(document); };
  co_await files_.run("pin the membership", deadline, std::move(call));
}

asio::awaitable<void> LocalPin::see_generation(keys::Generation highest_used) {
  auto call = [file = file_, highest_used] { file->see_generation(highest_used); };
  co_await files_.run("pin the generation", deadline, std::move(call));
}

}  // namespace volcrypt::cluster
