// See store_home.hpp.
#include "agent/store_home.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "agent/absent_store.hpp"
#include "agent/cluster/etcd_store.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "agent/cluster/membership.hpp"
#include "agent/cluster/sqlite_store.hpp"
#include "agent/cluster/store_move.hpp"
#include "agent/runtime/durable_file.hpp"
#include "agent/runtime/log.hpp"
#include "agent/runtime/spawn.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt {

namespace {

using control::StoreUse;

constexpr std::chrono::seconds file_deadline{10};
constexpr std::chrono::milliseconds until_restart{200};  // for the answer to leave

std::filesystem::path record_file(const std::filesystem::path& directory) { return directory / "store.json"; }
std::filesystem::path embedded_file(const std::filesystem::path& directory) { return directory / "store.db"; }

cluster::StoreRecord read_record(const std::filesystem::path& directory) {
  const auto content = runtime::read_file(record_file(directory), cluster::store_record_limit);
  if (!content) return {};
  return cluster::parse_store_record(std::string(content->begin(), content->end()));
}

std::unique_ptr<cluster::Store> open_etcd(const cluster::EtcdAddress& address) {
  cluster::EtcdStore::Options options{address};
  return std::make_unique<cluster::EtcdStore>(std::move(options));
}

asio::awaitable<void> restart_soon(std::function<void()> restart) {
  asio::steady_timer timer(co_await asio::this_coro::executor, until_restart);
  co_await timer.async_wait(asio::use_awaitable);
  restart();
}

}  // namespace

OpenedStore open_store(const std::filesystem::path& directory) {
  OpenedStore opened;
  try {
    opened.record = read_record(directory);
    if (opened.record.etcd) {
      opened.store = open_etcd(*opened.record.etcd);
    } else {
      opened.store = std::make_unique<cluster::SqliteStore>(cluster::SqliteStore::Options{embedded_file(directory)});
    }
  } catch (const Error& error) {
    runtime::log(runtime::Severity::error, "the store cannot be opened; volumes attach from the local copies",
                 {{"error", errc_name(error.code())}, {"cause", error.what()}});
    opened.store = std::make_unique<AbsentStore>(error);
  }
  return opened;
}

asio::awaitable<void> StoreHome::keep(cluster::StoreRecord record) {
  const auto do_write_durably = [file = record_file(parts_.directory), text = cluster::to_json(record)] {
    runtime::write_durably(file, as_bytes(text));
  };
  co_await parts_.files.run("keep the choice of the store", file_deadline, do_write_durably);
}

asio::awaitable<bool> StoreHome::choose(control::StoreRequest request) {
  if (record_.etcd == request.address) co_return false;
  if (std::exchange(choosing_, true))
    throw Error(errc::wrong_state, {"change", "the store", "It is being changed already: wait for the end of that."});
  std::exception_ptr failure;
  try {
    co_await prepare(request);
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  if (failure) {
    store_->let_changes_pass();
    choosing_ = false;
    std::rethrow_exception(failure);
  }
  // Whatever becomes of this write: the file decides at the next start, which comes now, and until then nothing changes
  // in the old store that the new one would not have.
  try {
    cluster::StoreRecord record{std::move(request.address)};
    co_await keep(std::move(record));
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  const auto executor = co_await asio::this_coro::executor;
  runtime::spawn(executor, "start anew on another store", restart_soon(parts_.restart));
  if (failure) std::rethrow_exception(failure);
  co_return true;
}

// Afterwards the etcd has what the node's store is to have, and the present one is held as it is.
asio::awaitable<void> StoreHome::prepare(const control::StoreRequest& request) {
  const auto do_open = [address = request.address] { return open_etcd(address); };
  const std::unique_ptr<cluster::Store> etcd =
      co_await parts_.files.run("read the certificates for etcd", file_deadline, do_open);
  co_await store_->hold_changes();
  const auto pinned = co_await parts_.pin.read();
  if (record_.etcd && pinned) {
    co_await find_cluster_in(*etcd);
    co_return;
  }
  if (request.use == StoreUse::begin) co_await begin_in(*etcd);
  if (request.use == StoreUse::join) co_await join_in(*etcd);
  if (request.use == StoreUse::move) co_await move_to(*etcd);
}

// The same store under other addresses, or with other certificates. A copy of it would be as old as it was made.
asio::awaitable<void> StoreHome::find_cluster_in(cluster::Store& etcd) {
  const auto pinned = co_await parts_.pin.read();
  const auto there = co_await etcd.get(std::string(cluster::store_key::membership));
  if (!pinned || !there)
    throw Error(errc::wrong_state,
                {"use", "this etcd",
                 "This node has its store in an etcd already, and this one has not that content. See "
                 "`volcryptctl get store`; other servers of the same etcd, and the same prefix, can be named."});
  (void)cluster::open_membership(cluster::parse_signed_membership(there->value), &pinned->pin);
}

asio::awaitable<void> StoreHome::require_no_cluster() {
  const auto pinned = co_await parts_.pin.read();
  // What an etcd has that this node came to by mistake is not this node's cluster.
  std::optional<cluster::Entry> here;
  if (!record_.etcd) here = co_await store_->get(std::string(cluster::store_key::membership));
  if (pinned || here)
    throw Error(errc::wrong_state, {"choose", "another store",
                                    "This node belongs to a cluster: move it by `volcryptctl store migrate ADDRESS`."});
}

// Whose cluster it is, the token says, and the node asks before it does anything.
asio::awaitable<void> StoreHome::join_in(cluster::Store& etcd) {
  co_await require_no_cluster();
  const auto there = co_await etcd.get(std::string(cluster::store_key::membership));
  if (!there)
    throw Error(errc::wrong_state, {"join the cluster in", "this etcd",
                                    "There is none under this prefix: see `volcryptctl get store` on a member."});
}

asio::awaitable<void> StoreHome::begin_in(cluster::Store& etcd) {
  co_await require_no_cluster();
  const auto there = co_await etcd.list("");
  if (!there.empty())
    throw Error(errc::wrong_state, {"make a cluster in", "this etcd",
                                    "There is something under this prefix already: choose another by --store-prefix."});
}

asio::awaitable<void> StoreHome::move_to(cluster::Store& etcd) {
  const auto pinned = co_await parts_.pin.read();
  if (!pinned)
    throw Error(errc::wrong_state,
                {"move", "the store",
                 "There is no cluster yet: make one there by `volcryptctl cluster init --store ADDRESS`."});
  co_await cluster::copy_store(store_->behind(), etcd, pinned->pin.cluster);
}

asio::awaitable<void> StoreHome::finish_move() {
  if (finished_ || !record_.etcd) co_return;
  co_await cluster::finish_move(*store_);
  const auto do_remove = [file = embedded_file(parts_.directory)] {
    for (const char* part : {"-wal", "-shm", ""}) runtime::remove_durably(file.string() + part);
  };
  co_await parts_.files.run("remove the embedded store", file_deadline, do_remove);
  finished_ = true;
}

}  // namespace volcrypt
