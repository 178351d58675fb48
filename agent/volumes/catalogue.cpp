// Catalogue: what is read, from the store or the local copy. See catalogue.hpp; what is changed: catalogue_changes.cpp.
#include "agent/volumes/catalogue.hpp"

#include <algorithm>

#include "agent/cluster/keys_of_store.hpp"
#include "agent/runtime/durable_file.hpp"
#include "agent/runtime/log.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::volumes {

namespace {

namespace store_key = cluster::store_key;

constexpr std::chrono::seconds file_deadline{10};
constexpr std::size_t copy_limit = 16 * 1024 * 1024;

void check_name(const cluster::Entry& entry, std::string_view prefix, const std::string& name) {
  if (std::string_view(entry.key).substr(prefix.size()) != name)
    throw Error(errc::store_damaged, {"read", entry.key, "It is the record of " + name + "."});
}

// One that cannot be read does not hide the others.
template <class Read>
void read_each(const std::vector<cluster::Entry>& entries, std::vector<Unreadable>& unreadable, Read read) {
  for (const cluster::Entry& entry : entries) {
    try {
      read(entry);
    } catch (const Error& error) {
      unreadable.push_back({entry.key, error.what(), entry.modified});
    }
  }
}

}  // namespace

Catalogue::Catalogue(cluster::Store& store, runtime::Worker& files, std::filesystem::path local_copy)
    : store_(store), files_(files), local_copy_(std::move(local_copy)) {}

asio::awaitable<Snapshot> Catalogue::look_in_store() {
  Snapshot snapshot;
  const std::vector<cluster::Entry> volumes = co_await store_.list("volume/");
  const std::vector<cluster::Entry> intents = co_await store_.list("intent/");
  const std::vector<cluster::Entry> erased = co_await store_.list("erased/");
  const std::vector<cluster::Entry> forgotten = co_await store_.list("forgotten/");
  read_each(volumes, snapshot.unreadable, [&](const cluster::Entry& entry) {
    cluster::VolumeRecord record = cluster::parse_volume_record(entry.value);
    check_name(entry, "volume/", record.name);
    snapshot.volumes.push_back(std::move(record));
  });
  read_each(intents, snapshot.unreadable, [&](const cluster::Entry& entry) {
    Intent intent = parse_intent(entry.value);
    check_name(entry, "intent/", intent.record.name);
    snapshot.intents.push_back(std::move(intent));
  });
  read_each(erased, snapshot.unreadable, [&](const cluster::Entry& entry) {
    snapshot.erased.insert(Uuid::parse(std::string_view(entry.key).substr(7)));
  });
  read_each(forgotten, snapshot.unreadable, [&](const cluster::Entry& entry) {
    snapshot.forgotten.insert(Uuid::parse(std::string_view(entry.key).substr(10)));
  });
  tell(snapshot.unreadable);
  co_return snapshot;
}

void Catalogue::tell(const std::vector<Unreadable>& unreadable) {
  std::map<std::string, std::string> now;
  for (const Unreadable& entry : unreadable) {
    now[entry.key] = entry.cause;
    const auto before = told_.find(entry.key);
    if (before != told_.end() && before->second == entry.cause) continue;
    runtime::log(runtime::Severity::warning, "an entry of the catalogue cannot be read, the others are used, ignoring",
                 {{"volume", entry.name()},
                  {"entry", entry.key},
                  {"cause", entry.name().empty() ? entry.cause : refusal(entry).what()}});
  }
  told_ = std::move(now);
}

asio::awaitable<Snapshot> Catalogue::look() {
  std::exception_ptr failure;
  try {
    Snapshot snapshot = co_await look_in_store();
    co_await keep_copy(snapshot);
    co_return snapshot;
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    failure = std::current_exception();
    runtime::log(runtime::Severity::warning,
                 "the store does not answer, going on with the last known catalogue, ignoring",
                 {{"cause", error.what()}});
  }
  const auto do_read_file = [path = local_copy_] { return runtime::read_file(path, copy_limit); };
  const std::optional<Bytes> copy =
      co_await files_.run("read the local copy of the catalogue", file_deadline, do_read_file);
  if (!copy) std::rethrow_exception(failure);
  co_return parse_local_copy(std::string(copy->begin(), copy->end()));
}

asio::awaitable<void> Catalogue::keep_copy(Snapshot snapshot) {
  std::string text = to_local_copy(snapshot);
  if (text == kept_) co_return;
  try {
    const auto do_write_durably = [path = local_copy_, text] { runtime::write_durably(path, as_bytes(text)); };
    co_await files_.run("write the local copy of the catalogue", file_deadline, do_write_durably);
    kept_ = std::move(text);
  } catch (const Error& error) {  // the store has it; the copy only serves a start without the store
    runtime::log(runtime::Severity::warning, "cannot keep a local copy of the catalogue, ignoring",
                 {{"cause", error.what()}});
  }
}

asio::awaitable<EncryptionView> Catalogue::encryption() {
  const std::optional<cluster::Entry> entry = co_await store_.get("encryption");
  if (!entry) co_return EncryptionView{};
  co_return EncryptionView{cluster::parse_encryption_state(entry->value), entry->modified};
}

asio::awaitable<keys::KekRecord> Catalogue::kek_record(cluster::Generation generation) {
  const std::optional<cluster::Entry> entry = co_await store_.get(store_key::generation(generation));
  const std::string object = "the record of KEK generation " + std::to_string(generation);
  if (entry) {
    keys::KekRecord record = cluster::parse_kek_record(entry->value);
    if (record.generation == generation) co_return record;
    throw Error(errc::store_damaged, {"read", object, "It is another's: restore the store from a backup."});
  }
  const EncryptionView now = co_await encryption();
  if (now.state.current != generation)
    throw Error(errc::wrong_generation, {"find", object, "It was retired meanwhile: try again."});
  throw Error(errc::store_damaged,
              {"find", object, "It vanished from the store: restore the store from a backup, or rotate."});
}

asio::awaitable<std::optional<cluster::VolumeRecord>> Catalogue::record(std::string name) {
  const std::optional<cluster::Entry> entry = co_await store_.get(store_key::volume(name));
  if (!entry) co_return std::nullopt;
  co_return cluster::parse_volume_record(entry->value);
}

asio::awaitable<std::optional<Intent>> Catalogue::intent(std::string name) {
  const std::optional<cluster::Entry> entry = co_await store_.get(store_key::intent(name));
  if (!entry) co_return std::nullopt;
  co_return parse_intent(entry->value);
}

asio::awaitable<PastOfName> Catalogue::past_of(std::string name) {
  const std::vector<cluster::Entry> erased = co_await store_.list("erased/");
  const std::vector<cluster::Entry> forgotten = co_await store_.list("forgotten/");
  const auto has_name = [&](const cluster::Entry& entry) { return entry.value == name; };
  PastOfName past;
  past.erased = std::any_of(erased.begin(), erased.end(), has_name);
  past.forgotten = std::any_of(forgotten.begin(), forgotten.end(), has_name);
  co_return past;
}

asio::awaitable<std::optional<Bytes>> Catalogue::header_backup(Uuid volume) {
  const std::optional<cluster::Entry> entry = co_await store_.get(store_key::header(volume));
  if (!entry) co_return std::nullopt;
  co_return from_base64(entry->value);
}

}  // namespace volcrypt::volumes
