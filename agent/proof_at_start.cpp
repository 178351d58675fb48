// ProofAtStart, see proof_at_start.hpp.
#include "agent/proof_at_start.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "agent/cluster/keys_of_store.hpp"
#include "agent/cluster/state.hpp"
#include "agent/runtime/log.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt {

namespace {

using cluster::Generation;
using keys::KekStore;

Digest fresh_nonce() {
  Digest nonce{};
  if (getrandom(nonce.data(), nonce.size(), 0) != static_cast<ssize_t>(nonce.size()))
    throw Error(errno_code(errno), {"draw", "a nonce", ""});
  return nonce;
}

// No verdict on a KEK: the same proof may succeed later without anybody's touching the key.
bool may_pass(const Error& error) {
  return error.code() == errc::tpm_absent || error.code() == errc::timed_out || error.code() == errc::sealed_out ||
         error.code() == errc::conflict || error.code().category() != volcrypt_category();
}

std::string unrecorded_text(Generation generation, const std::string& cause) {
  return "The store's record of KEK generation " + std::to_string(generation) + " cannot be used: " + cause +
         ". Until it can, no volume is wrapped under it, and this node's own record must do to open those that are. "
         "Restore the store from a backup, or rotate.";
}

}  // namespace

asio::awaitable<std::vector<std::string>> ProofAtStart::warnings() {
  std::vector<std::string> found;
  for (const auto& [generation, cause] : unproved_)
    found.push_back("KEK generation " + std::to_string(generation) + " failed its proof: " + cause);
  try {  // looked at now, so that the warning goes when the record is back
    const NeededKeks needed = co_await needed_keks();
    for (const auto& [generation, cause] : needed.unrecorded) found.push_back(unrecorded_text(generation, cause));
  } catch (const Error&) {  // the store does not answer: whoever asks for warnings asks it, too, and is told
  }
  co_return found;
}

asio::awaitable<void> ProofAtStart::prove(const keys::KekRecord& record) {
  const auto do_prove = [record, nonce = fresh_nonce()](KekStore& store) { return store.prove(record, nonce); };
  (void)co_await keys_.chosen().with("prove KEK generation " + std::to_string(record.generation), do_prove);
}

asio::awaitable<ProofAtStart::NeededKeks> ProofAtStart::needed_keks() {
  const std::optional<cluster::Entry> entry = co_await store_.get(std::string(cluster::store_key::encryption));
  NeededKeks needed;
  if (!entry) co_return needed;
  const cluster::EncryptionState state = cluster::parse_encryption_state(entry->value);
  std::set<Generation> numbers = state.previous;
  if (state.current != 0) numbers.insert(state.current);
  for (const Generation number : numbers) {
    const std::optional<cluster::Entry> record = co_await store_.get(cluster::store_key::generation(number));
    if (!record) {
      needed.unrecorded[number] = "it is missing";
      continue;
    }
    try {
      needed.recorded.push_back(cluster::parse_kek_record(record->value));
    } catch (const Error& error) {
      needed.unrecorded[number] = error.what();
    }
  }
  co_return needed;
}

asio::awaitable<std::vector<keys::KekRecord>> ProofAtStart::kept_keks() {
  const auto ask = [](KekStore& store) { return std::pair(store.held(), store.kept()); };
  auto [records, kept] = co_await keys_.chosen().with("list the keys", ask);
  for (const Generation number : kept) {
    const auto same = [number](const keys::KekRecord& record) { return record.generation == number; };
    if (std::any_of(records.begin(), records.end(), same)) continue;
    keys::KekRecord damaged;  // its proof will tell
    damaged.generation = number;
    records.push_back(damaged);
  }
  co_return std::move(records);
}

asio::awaitable<std::vector<keys::KekRecord>> ProofAtStart::keks_to_prove() {
  std::optional<NeededKeks> needed;
  try {
    needed = co_await needed_keks();
  } catch (const Error& error) {
    runtime::log(runtime::Severity::warning, "the keys are proved against this node's own records, ignoring",
                 {{"cause", error.what()}});
  }
  if (needed && needed->unrecorded.empty()) co_return std::move(needed->recorded);
  const std::vector<keys::KekRecord> kept = co_await kept_keks();
  if (!needed) co_return kept;
  for (const auto& [number, cause] : needed->unrecorded) {
    runtime::log(runtime::Severity::warning, "a KEK is proved against this node's own record, ignoring",
                 {{"generation", std::to_string(number)}, {"cause", unrecorded_text(number, cause)}});
    const auto same = [number = number](const keys::KekRecord& record) { return record.generation == number; };
    const auto own = std::find_if(kept.begin(), kept.end(), same);
    keys::KekRecord nothing;  // not held either: its proof will tell
    nothing.generation = number;
    needed->recorded.push_back(own == kept.end() ? nothing : *own);
  }
  co_return std::move(needed->recorded);
}

asio::awaitable<ProofAtStart::Outcome> ProofAtStart::run() {
  Outcome check;
  if (!keys_.choice()) co_return check;  // nothing was ever made
  const std::vector<keys::KekRecord> records = co_await keks_to_prove();
  for (const keys::KekRecord& record : records) {
    const std::optional<Error> failure = co_await failure_of_proof(record);
    if (!failure) {
      unproved_.erase(record.generation);
    } else if (may_pass(*failure)) {
      check.undecided = true;
    } else if (failure->code() == errc::wrong_generation && !co_await is_needed(record.generation)) {
      // Retired while we looked.
    } else {
      check.found_more = unproved_.insert_or_assign(record.generation, failure->what()).second || check.found_more;
      runtime::log(runtime::Severity::error, "a KEK failed its proof",
                   {{"generation", std::to_string(record.generation)},
                    {"error", errc_name(failure->code())},
                    {"cause", failure->what()}});
    }
  }
  co_return check;
}

asio::awaitable<std::optional<Error>> ProofAtStart::failure_of_proof(const keys::KekRecord& record) {
  try {
    co_await prove(record);
  } catch (const Error& error) {
    co_return error;
  }
  co_return std::nullopt;
}

asio::awaitable<bool> ProofAtStart::is_needed(Generation generation) {
  const NeededKeks needed = co_await needed_keks();
  const auto same = [&](const keys::KekRecord& record) { return record.generation == generation; };
  co_return needed.unrecorded.contains(generation) || std::any_of(needed.recorded.begin(), needed.recorded.end(), same);
}

}  // namespace volcrypt
