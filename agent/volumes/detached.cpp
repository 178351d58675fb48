// DetachedByOrder, see detached.hpp.
#include "agent/volumes/detached.hpp"

#include <optional>

#include "agent/runtime/durable_file.hpp"
#include "agent/runtime/log.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::volumes {

namespace {

constexpr std::size_t file_limit = 1 << 20;
constexpr std::chrono::seconds file_deadline{15};

}  // namespace

std::set<Uuid> parse_detached(std::string_view text) {
  std::set<Uuid> volumes;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos)
      throw Error(errc::invalid_argument, {"read", "the list of detached volumes", "It was cut short."});
    volumes.insert(Uuid::parse(text.substr(0, end)));
    text.remove_prefix(end + 1);
  }
  return volumes;
}

DetachedByOrder::DetachedByOrder(runtime::Worker& files, std::filesystem::path file)
    : files_(files), file_(std::move(file)) {}

asio::awaitable<void> DetachedByOrder::load() {
  try {
    const auto do_read = [file = file_] { return runtime::read_file(file, file_limit); };
    const std::optional<Bytes> content = co_await files_.run("read " + file_.string(), file_deadline, do_read);
    if (content) volumes_ = parse_detached(std::string(content->begin(), content->end()));
  } catch (const Error& error) {
    runtime::log(runtime::Severity::warning,
                 "it is not known which volumes were detached by order; they are attached again, ignoring",
                 {{"cause", error.what()}});
  }
}

asio::awaitable<void> DetachedByOrder::add(Uuid volume) {
  if (volumes_.insert(volume).second) co_await keep();
}

asio::awaitable<void> DetachedByOrder::remove(Uuid volume) {
  if (volumes_.erase(volume) > 0) co_await keep();
}

asio::awaitable<void> DetachedByOrder::keep() {
  std::string text;
  for (const Uuid& volume : volumes_) text += volume.str() + "\n";
  try {
    const auto do_write = [file = file_, text] { runtime::write_durably(file, as_bytes(text)); };
    co_await files_.run("write " + file_.string(), file_deadline, do_write);
  } catch (const Error& error) {
    runtime::log(runtime::Severity::warning,
                 "cannot keep which volumes were detached by order; a restart of the agent attaches them, ignoring",
                 {{"cause", error.what()}});
  }
}

}  // namespace volcrypt::volumes
