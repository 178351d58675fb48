// NodeFile: a JSON document in the state directory, written durably. See node_file.hpp.
#include "agent/node_file.hpp"

#include <chrono>

#include "agent/runtime/durable_file.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt {

namespace {

constexpr std::chrono::seconds deadline{10};

}  // namespace

asio::awaitable<void> NodeFile::load() {
  const auto do_read_file = [file = file_] { return runtime::read_file(file, node_record_limit); };
  const std::optional<Bytes> content = co_await files_.run("read the node's own record", deadline, do_read_file);
  if (content) known_ = parse_node_record(std::string(content->begin(), content->end()));
}

asio::awaitable<void> NodeFile::save(NodeRecord record) {
  const auto do_write_durably = [file = file_, text = to_json(record)] {
    runtime::write_durably(file, as_bytes(text));
  };
  co_await files_.run("write the node's own record", deadline, do_write_durably);
  known_ = std::move(record);
}

asio::awaitable<void> NodeFile::enrolled(keys::IdentityRequest identity) {
  NodeRecord record{std::move(identity), std::nullopt};
  co_await save(std::move(record));
}

asio::awaitable<void> NodeFile::chose(keys::Protection protection) {
  if (!known_) throw Error(errc::wrong_state, {"choose", "a protection", "This node belongs to no cluster."});
  if (known_->protection == protection) co_return;
  NodeRecord record = *known_;
  record.protection = protection;
  co_await save(std::move(record));
}

}  // namespace volcrypt
