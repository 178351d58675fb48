// NodeFile: the little that this node knows of itself beside the store: the authority, cluster and node its keys were
// made for, and the protection the cluster chose. With it volumes attach while the store does not answer. Loop thread;
// the file is touched on a worker.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "agent/node_record.hpp"
#include "agent/runtime/worker.hpp"

namespace volcrypt {

namespace asio = boost::asio;

class NodeFile {
 public:
  NodeFile(std::filesystem::path file, runtime::Worker& files) : file_(std::move(file)), files_(files) {}

  const std::optional<NodeRecord>& known() const noexcept { return known_; }
  asio::awaitable<void> load();
  asio::awaitable<void> enrolled(keys::IdentityRequest identity);
  asio::awaitable<void> chose(keys::Protection protection);

 private:
  asio::awaitable<void> save(NodeRecord record);

  std::filesystem::path file_;
  runtime::Worker& files_;
  std::optional<NodeRecord> known_;
};

}  // namespace volcrypt
