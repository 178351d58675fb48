// Verbs on the place of the cluster's store: where it is, and moving it to an etcd. `cluster init --store` chooses it
// by the same call.
#include <chrono>
#include <filesystem>
#include <thread>

#include "agent/cli/table.hpp"
#include "agent/cli/verbs.hpp"
#include "agent/control/documents.hpp"

namespace volcrypt::cli {

namespace {

using control::StoreUse;

std::filesystem::path absolute(const std::string& file) {
  return file.empty() ? std::filesystem::path() : std::filesystem::absolute(file).lexically_normal();
}

control::StoreRequest request_of(const StoreOptions& options, StoreUse use) {
  if (options.authority.empty())
    throw Failure(ExitStatus::usage,
                  "cannot use an etcd without its certificate authority: give the file by --store-authority.");
  control::StoreRequest request;
  request.address.servers = cluster::parse_etcd_servers(options.address);
  request.address.prefix = options.prefix;
  request.address.files = {absolute(options.authority), absolute(options.certificate), absolute(options.key)};
  request.use = use;
  return request;
}

bool is_at(const json::value& store, const cluster::EtcdAddress& address) {
  std::string servers;
  if (const auto* all = find(store, {"servers"}); all && all->is_array())
    for (const auto& server : all->get_array()) servers += (servers.empty() ? "etcd:" : ",") + text_at(server, {});
  return servers == cluster::to_text(address.servers) && text_at(store, {"prefix"}) == address.prefix;
}

// The agent starts itself anew a moment after its answer, and then for another moment nobody answers.
void wait_for(Session& session, const cluster::EtcdAddress& address) {
  constexpr std::chrono::seconds longest{60};
  constexpr std::chrono::milliseconds until_it_goes{500}, pause{100};
  std::this_thread::sleep_for(until_it_goes);
  for (const auto until = std::chrono::steady_clock::now() + longest;;) {
    try {
      if (is_at(session.agent.get("/v1/store"), address)) return;
    } catch (const Failure& failure) {
      if (failure.status() != ExitStatus::unreachable) throw;
    }
    if (std::chrono::steady_clock::now() > until)
      throw Failure(ExitStatus::timed_out,
                    "cannot see the agent on its new store: it did not come back within a minute. Look what it says: "
                    "journalctl -u volcryptd");
    std::this_thread::sleep_for(pause);
  }
}

std::string describe(const json::value& store) {
  Listing listing;
  listing.add("Engine", text_at(store, {"engine"}));
  if (const auto* servers = find(store, {"servers"}); servers && servers->is_array()) {
    for (const auto& server : servers->get_array()) listing.add("Server", text_at(server, {}));
    listing.add("Prefix", text_at(store, {"prefix"}));
  }
  const std::string failure = text_at(store, {"failure"});
  listing.add("Answers", failure == "-" ? "yes" : "no: " + failure);
  return listing.text();
}

}  // namespace

void choose_store(Session& session, const StoreOptions& options, StoreUse use) {
  const control::StoreRequest request = request_of(options, use);
  const json::value answer = session.agent.put("/v1/store", control::render(request));
  if (text_at(answer, {"changed"}) == "yes") wait_for(session, request.address);
}

ExitStatus get_store(Session& session) {
  const json::value store = session.agent.get("/v1/store");
  session.show(store, describe(store));
  return ExitStatus::done;
}

ExitStatus migrate_store(Session& session, const StoreOptions& options) {
  const control::StoreRequest request = request_of(options, StoreUse::move);
  const json::value answer = session.agent.put("/v1/store", control::render(request), long_deadline);
  const bool changed = text_at(answer, {"changed"}) == "yes";
  if (changed) wait_for(session, request.address);
  session.show(answer,
               changed ? "The store is in etcd now; volumes were not touched.\n" : "The store is there already.\n");
  return ExitStatus::done;
}

}  // namespace volcrypt::cli
