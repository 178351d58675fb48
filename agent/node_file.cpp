// NodeFile: a JSON document in the state directory, written durably. See node_file.hpp.
#include "agent/node_file.hpp"

#include <boost/json/serialize.hpp>
#include <chrono>

#include "agent/runtime/durable_file.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt {

namespace {

const JsonDocument node_document{"the node's own record", 16 * 1024, 2, errc::store_damaged};
constexpr std::chrono::seconds deadline{10};

}  // namespace

std::string to_json(const NodeRecord& record) {
  boost::json::object object;
  object["version"] = 1;
  object["authority"] = to_base64(record.identity.authority_public);
  object["cluster"] = record.identity.cluster.str();
  object["node"] = record.identity.node.str();
  object["protection"] = !record.protection ? "none" : *record.protection == keys::Protection::tpm ? "tpm" : "software";
  return boost::json::serialize(object);
}

NodeRecord parse_node_record(std::string_view json) {
  const boost::json::object object = parse_object(json, node_document);
  MemberReader members(object, node_document);
  if (members.number("version") != 1)
    throw Error(errc::token_version,
                {"read", node_document.what, "Use the volcrypt release that wrote it, or a newer one."});
  NodeRecord record;
  record.identity.authority_public = members.base64("authority");
  record.identity.cluster = members.uuid("cluster");
  record.identity.node = members.uuid("node");
  const std::string_view protection = members.text("protection");
  if (protection == "tpm") {
    record.protection = keys::Protection::tpm;
  } else if (protection == "software") {
    record.protection = keys::Protection::software;
  } else if (protection != "none") {
    members.refuse("protection", "It must be none, tpm or software.");
  }
  members.finish();
  return record;
}

asio::awaitable<void> NodeFile::load() {
  const auto do_read_file = [file = file_] { return runtime::read_file(file, node_document.byte_limit); };
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
