// Catalogue: its transactions. Each compares what stands under the volume's name, so that a node which another has
// taken the volume over from takes nothing back. See catalogue.hpp.
#include "agent/cluster/keys_of_store.hpp"
#include "agent/volumes/catalogue.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::volumes {

namespace {

namespace store_key = cluster::store_key;
using cluster::Compare;
using cluster::Delete;
using cluster::Put;
using cluster::Revision;

std::string erased_key(const Uuid& volume) { return "erased/" + volume.str(); }
std::string forgotten_key(const Uuid& volume) { return "forgotten/" + volume.str(); }

// Of no other volume or owner; `record` may be any of the volume's.
void check_same(const cluster::VolumeRecord& found, const cluster::VolumeRecord& record) {
  if (found.volume == record.volume && found.owner == record.owner) return;
  throw Error(errc::conflict,
              {"change volume", record.name,
               found.volume == record.volume ? "The node " + found.owner.str() + " has taken it over meanwhile."
                                             : "Another volume has that name by now."});
}

}  // namespace

asio::awaitable<void> Catalogue::commit(std::string what, std::string object, cluster::Transaction transaction) {
  const boost::system::result<Revision> done = co_await store_.commit(std::move(transaction));
  if (!done)
    throw Error(done.error(),
                {std::move(what), std::move(object), "Somebody else changed it meanwhile: look, then try again."});
  co_await keep_copy(co_await look_in_store());
}

asio::awaitable<void> Catalogue::begin(Intent intent, Revision encryption) {
  const std::string& name = intent.record.name;
  cluster::Transaction transaction;
  transaction.when = {{store_key::volume(name), 0}, {store_key::intent(name), 0}, {"encryption", encryption}};
  transaction.then = {Put{store_key::intent(name), to_json(intent)}};
  co_await commit("record the intent to create volume", name, std::move(transaction));
}

asio::awaitable<Compare> Catalogue::standing_intent(cluster::VolumeRecord record, std::optional<Intent>& into) {
  const std::string key = store_key::intent(record.name);
  const std::optional<cluster::Entry> entry = co_await store_.get(key);
  if (!entry) co_return Compare{key, 0};
  try {
    into = parse_intent(entry->value);
  } catch (const Error&) {
    co_return Compare{key, entry->modified};  // whoever changes the volume by order settles it, too
  }
  check_same(into->record, record);
  co_return Compare{key, entry->modified};
}

asio::awaitable<Catalogue::Standing> Catalogue::standing(cluster::VolumeRecord record) {
  Standing found;
  const std::string key = store_key::volume(record.name);
  const std::optional<cluster::Entry> entry = co_await store_.get(key);
  std::optional<Error> unreadable;
  try {
    if (entry) found.record = cluster::parse_volume_record(entry->value);
  } catch (const Error& error) {
    unreadable = error;
  }
  if (found.record) check_same(*found.record, record);
  const Compare intent = co_await standing_intent(record, found.intent);
  if (unreadable && !found.intent) throw *unreadable;  // beside an intent it is not what `record` was read from
  found.unchanged = {{key, entry ? entry->modified : 0}, intent};
  co_return found;
}

asio::awaitable<void> Catalogue::begin_erase(cluster::VolumeRecord record, std::string drive) {
  Standing now = co_await standing(record);
  cluster::Transaction transaction;
  transaction.when = std::move(now.unchanged);
  transaction.then = {Put{store_key::intent(record.name), to_json(Intent{Intention::erase, record, std::move(drive)})}};
  co_await commit("record the intent to erase volume", record.name, std::move(transaction));
}

asio::awaitable<void> Catalogue::abandon(cluster::VolumeRecord record) {
  std::optional<Intent> intent;
  cluster::Transaction transaction;
  try {
    const Compare unchanged = co_await standing_intent(record, intent);
    transaction.when = {unchanged};
  } catch (const Error& error) {
    if (error.code() != errc::conflict) throw;
    co_return;
  }
  transaction.then = {Delete{store_key::intent(record.name)}};
  co_await commit("take back the intent for volume", record.name, std::move(transaction));
}

asio::awaitable<void> Catalogue::created(cluster::VolumeRecord record, Bytes header, const Unreadable* replaces) {
  const std::string key = store_key::volume(record.name);
  const Revision replaced = replaces != nullptr && replaces->key == key ? replaces->modified : 0;
  std::optional<Intent> ended;
  const Compare intent = co_await standing_intent(record, ended);
  cluster::Transaction transaction;
  transaction.when = {{key, replaced}, intent};
  transaction.then = {Put{store_key::volume(record.name), cluster::to_json(record)},
                      Put{store_key::header(record.volume), to_base64(header)}, Delete{store_key::intent(record.name)},
                      Delete{forgotten_key(record.volume)}};
  co_await commit("record volume", record.name, std::move(transaction));
}

asio::awaitable<void> Catalogue::changed(cluster::VolumeRecord record, Bytes header) {
  Standing now = co_await standing(record);
  cluster::Transaction transaction;
  transaction.when = std::move(now.unchanged);
  transaction.then = {Put{store_key::volume(record.name), cluster::to_json(record)},
                      Put{store_key::header(record.volume), to_base64(header)}};
  co_await commit("record the new header of volume", record.name, std::move(transaction));
}

asio::awaitable<void> Catalogue::moved(cluster::VolumeRecord record) {
  Standing now = co_await standing(record);
  cluster::Transaction transaction;
  transaction.when = std::move(now.unchanged);
  transaction.then = {Put{store_key::volume(record.name), cluster::to_json(record)}};
  co_await commit("record the place of volume", record.name, std::move(transaction));
}

asio::awaitable<void> Catalogue::goes_back(cluster::VolumeRecord record, Revision encryption) {
  Standing now = co_await standing(record);
  cluster::Transaction transaction;
  transaction.when = std::move(now.unchanged);
  transaction.when.push_back({"encryption", encryption});
  transaction.then = {Put{store_key::volume(record.name), cluster::to_json(record)}};
  co_await commit("record the older header of volume", record.name, std::move(transaction));
}

asio::awaitable<void> Catalogue::taken_over(cluster::VolumeRecord record, Uuid to, Revision members) {
  Standing now = co_await standing(record);
  if (!now.record && !now.intent)
    throw Error(errc::conflict, {"take over volume", record.name, "It was deleted or forgotten meanwhile."});
  cluster::Transaction transaction;
  transaction.when = std::move(now.unchanged);
  transaction.when.push_back({std::string(store_key::membership), members});
  if (now.record) {
    now.record->owner = to;
    transaction.then.emplace_back(Put{store_key::volume(record.name), cluster::to_json(*now.record)});
  }
  if (now.intent) {
    now.intent->record.owner = to;
    transaction.then.emplace_back(Put{store_key::intent(record.name), to_json(*now.intent)});
  }
  co_await commit("take over volume", record.name, std::move(transaction));
}

asio::awaitable<void> Catalogue::forgotten(cluster::VolumeRecord record, std::optional<Revision> members) {
  Standing now = co_await standing(record);
  cluster::Transaction transaction;
  transaction.when = std::move(now.unchanged);
  if (members) transaction.when.push_back({std::string(store_key::membership), *members});
  transaction.then = {Delete{store_key::volume(record.name)}, Delete{store_key::header(record.volume)},
                      Delete{store_key::intent(record.name)}, Put{forgotten_key(record.volume), record.name}};
  co_await commit("forget volume", record.name, std::move(transaction));
}

asio::awaitable<void> Catalogue::forgotten(Unreadable entry) {
  cluster::Transaction transaction;
  transaction.when = {{entry.key, entry.modified}};
  transaction.then = {Delete{entry.key}};
  co_await commit("forget volume", entry.name(), std::move(transaction));
}

asio::awaitable<void> Catalogue::erased(cluster::VolumeRecord record) {
  Standing now = co_await standing(record);
  cluster::Transaction transaction;
  transaction.when = std::move(now.unchanged);
  transaction.then = {Delete{store_key::volume(record.name)}, Delete{store_key::header(record.volume)},
                      Delete{store_key::intent(record.name)}, Put{erased_key(record.volume), record.name}};
  co_await commit("record the end of volume", record.name, std::move(transaction));
}

}  // namespace volcrypt::volumes
