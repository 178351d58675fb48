// LocalMember, see local_member.hpp. A KEK's recovery blob is durable before the KEK is reported as made.
#include "agent/local_member.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "agent/cluster/keys_of_store.hpp"
#include "agent/runtime/durable_file.hpp"
#include "agent/runtime/log.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt {

namespace {

using cluster::Generation;
using keys::KekStore;
using keys::Protection;

constexpr std::chrono::seconds file_deadline{10};
constexpr std::size_t blob_limit = 64 * 1024;
constexpr std::array both_protections{Protection::software, Protection::tpm};

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

std::vector<keys::RecoveryBlob> read_blobs(const std::filesystem::path& directory) {
  std::vector<keys::RecoveryBlob> blobs;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(directory, missing)) {
    if (entry.path().extension() != ".json") continue;  // a temporary file of an interrupted write
    const std::optional<Bytes> content = runtime::read_file(entry.path(), blob_limit);
    if (content) blobs.push_back(cluster::parse_recovery_blob(std::string(content->begin(), content->end())));
  }
  std::sort(blobs.begin(), blobs.end(), [](const auto& a, const auto& b) { return a.generation < b.generation; });
  return blobs;
}

}  // namespace

const Uuid& LocalMember::id() const {
  static const Uuid nobody;
  return parts_.node_file.known() ? parts_.node_file.known()->identity.node : nobody;
}

std::filesystem::path LocalMember::recovery_file(Generation generation) const {
  return parts_.recovery_directory / (std::to_string(generation) + ".json");
}

asio::awaitable<void> LocalMember::follow_choice() {
  const std::optional<cluster::Entry> entry = co_await parts_.store.get(std::string(cluster::store_key::encryption));
  if (!entry) co_return;
  const cluster::EncryptionState state = cluster::parse_encryption_state(entry->value);
  if (!state.protection) co_return;
  parts_.keys.choose(*state.protection);
  co_await parts_.node_file.chose(*state.protection);
}

asio::awaitable<keys::BootReport> LocalMember::boot_report() {
  const Protection protection =
      parts_.keys.choice().value_or(parts_.keys.has(Protection::tpm) ? Protection::tpm : Protection::software);
  co_return co_await parts_.keys.of(protection).with("read the boot state", [](KekStore& store) {
    return store.boot_report();
  });
}

asio::awaitable<std::vector<std::string>> LocalMember::key_warnings() {
  std::vector<std::string> found;
  for (const auto& [generation, cause] : unproved_)
    found.push_back("KEK generation " + std::to_string(generation) + " failed its proof: " + cause);
  try {  // looked at now, so that the warning goes when the record is back
    const NeededKeks needed = co_await needed_keks();
    for (const auto& [generation, cause] : needed.unrecorded) found.push_back(unrecorded_text(generation, cause));
  } catch (const Error&) {  // the store does not answer: whoever asks for warnings asks it, too, and is told
  }
  const Protection protection =
      parts_.keys.choice().value_or(parts_.keys.has(Protection::tpm) ? Protection::tpm : Protection::software);
  const auto ask = [](KekStore& store) { return store.warnings(); };
  try {
    const std::vector<std::string> more = co_await parts_.keys.of(protection).with("look for weaknesses", ask);
    found.insert(found.end(), more.begin(), more.end());
  } catch (const Error&) {  // boot_report() fails the same way, and says it
  }
  co_return found;
}

// ---- the proof at start ----

asio::awaitable<LocalMember::NeededKeks> LocalMember::needed_keks() {
  const std::optional<cluster::Entry> entry = co_await parts_.store.get(std::string(cluster::store_key::encryption));
  NeededKeks needed;
  if (!entry) co_return needed;
  const cluster::EncryptionState state = cluster::parse_encryption_state(entry->value);
  std::set<Generation> numbers = state.previous;
  if (state.current != 0) numbers.insert(state.current);
  for (const Generation number : numbers) {
    const std::optional<cluster::Entry> record = co_await parts_.store.get(cluster::store_key::generation(number));
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

asio::awaitable<std::vector<keys::KekRecord>> LocalMember::kept_keks() {
  const auto ask = [](KekStore& store) { return std::pair(store.held(), store.kept()); };
  auto [records, kept] = co_await parts_.keys.chosen().with("list the keys", ask);
  for (const Generation number : kept) {
    const auto same = [number](const keys::KekRecord& record) { return record.generation == number; };
    if (std::any_of(records.begin(), records.end(), same)) continue;
    keys::KekRecord damaged;  // its proof will tell
    damaged.generation = number;
    records.push_back(damaged);
  }
  co_return std::move(records);
}

asio::awaitable<std::vector<keys::KekRecord>> LocalMember::keks_to_prove() {
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

asio::awaitable<LocalMember::KeyCheck> LocalMember::prove_kept_keys() {
  KeyCheck check;
  if (!parts_.keys.choice()) co_return check;  // nothing was ever made
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

asio::awaitable<std::optional<Error>> LocalMember::failure_of_proof(const keys::KekRecord& record) {
  try {
    co_await prove(record);
  } catch (const Error& error) {
    co_return error;
  }
  co_return std::nullopt;
}

asio::awaitable<bool> LocalMember::is_needed(Generation generation) {
  const NeededKeks needed = co_await needed_keks();
  const auto same = [&](const keys::KekRecord& record) { return record.generation == generation; };
  co_return needed.unrecorded.contains(generation) || std::any_of(needed.recorded.begin(), needed.recorded.end(), same);
}

asio::awaitable<void> LocalMember::adopt(Protection protection, keys::Approvals approvals) {
  if (approvals.authority_public.empty() || !parts_.keys.has(protection)) co_return;
  const std::optional<Protection> choice = parts_.keys.choice();
  try {
    const auto do_adopt = [approvals = std::move(approvals)](KekStore& store) { store.adopt(approvals); };
    co_await parts_.keys.of(protection).with("adopt approvals", do_adopt);
  } catch (const Error& error) {
    if (!choice || *choice == protection) throw;
    runtime::log(runtime::Severity::warning, "the protection that is not in use did not adopt its approvals, ignoring",
                 {{"protection", std::string(cluster::spelling(protection))}, {"cause", error.what()}});
  }
}

asio::awaitable<void> LocalMember::adopt_membership(const cluster::SignedMembership& membership) {
  const cluster::SignedMembership document = membership;  // the caller's may not live as long as this coroutine
  const std::optional<cluster::PinnedState> pinned = co_await parts_.pin.read();
  const cluster::Membership opened = cluster::open_membership(document, pinned ? &pinned->pin : nullptr);
  const auto self = std::find_if(opened.members.begin(), opened.members.end(),
                                 [&](const cluster::MemberEntry& member) { return member.node == id(); });
  if (self == opened.members.end())
    throw Error(errc::invalid_argument, {"adopt", "the membership document", "This node is not among its members."});
  co_await adopt(Protection::software, self->software_approvals);
  co_await adopt(Protection::tpm, self->tpm_approvals);
  co_await parts_.pin.see_membership(document);
  parts_.volumes.known_as(id());
  parts_.volumes.joined(opened.cluster);
}

asio::awaitable<bool> LocalMember::was_made_without_tpm() {
  const std::optional<cluster::PinnedState> pinned = co_await parts_.pin.read();
  if (!pinned) co_return false;
  const cluster::Membership membership = cluster::parse_membership(pinned->newest.document);
  const auto self = std::find_if(membership.members.begin(), membership.members.end(),
                                 [&](const cluster::MemberEntry& member) { return member.node == id(); });
  co_return self != membership.members.end() && self->tpm_approvals.authority_public.empty();
}

asio::awaitable<cluster::MemberReadiness> LocalMember::readiness(Protection protection) {
  cluster::MemberReadiness readiness{VOLCRYPT_VERSION, {}};
  if (protection == Protection::tpm && co_await was_made_without_tpm()) {
    readiness.failures.push_back(
        "This cluster was made without a TPM (`cluster init --without-tpm`), and stays so. Enable it with --protection "
        "software; or make another one, which costs nothing before encryption is enabled: stop volcryptd, move its "
        "state "
        "directory aside, start it, and run `volcryptctl cluster init`.");
    co_return readiness;
  }
  try {
    const keys::BootReport boot =
        co_await parts_.keys.of(protection).with("check the keys", [](KekStore& store) { return store.boot_report(); });
    if (!boot.approved_now)
      readiness.failures.push_back("The boot state is not approved: see `volcryptctl node boot-state`.");
  } catch (const Error& error) {  // each failure is a line of the answer
    readiness.failures.push_back(error.what());
  }
  co_return readiness;
}

asio::awaitable<keys::KekRecord> LocalMember::create_kek(Generation generation) {
  co_await follow_choice();
  keys::Keyring& keyring = parts_.keys.chosen();
  const std::string number = std::to_string(generation);
  const auto do_create = [generation](KekStore& store) { return store.create(generation); };
  keys::KekRecord record = co_await keyring.with("create KEK generation " + number, do_create);
  const auto do_duplicate_to_recovery = [record](KekStore& store) { return store.duplicate_to_recovery(record); };
  const keys::RecoveryBlob blob =
      co_await keyring.with("duplicate KEK generation " + number + " to the recovery key", do_duplicate_to_recovery);
  const std::string text = cluster::to_json(blob);
  const auto do_write_durably = [file = recovery_file(generation), text] {
    runtime::make_directory_durably(file.parent_path());
    runtime::write_durably(file, as_bytes(text));
  };
  co_await parts_.files.run("keep the recovery blob", file_deadline, do_write_durably);
  cluster::Transaction transaction;
  transaction.then = {cluster::Put{cluster::store_key::recovery(generation), text}};
  const auto done = co_await parts_.store.commit(std::move(transaction));
  if (!done) throw Error(done.error(), {"store", "the recovery blob of generation " + number, ""});
  co_return record;
}

asio::awaitable<void> LocalMember::prove_kek(const keys::KekRecord& record) {
  co_await follow_choice();
  co_await prove(record);
}

asio::awaitable<void> LocalMember::prove(const keys::KekRecord& record) {
  const auto do_prove = [record, nonce = fresh_nonce()](KekStore& store) { return store.prove(record, nonce); };
  (void)co_await parts_.keys.chosen().with("prove KEK generation " + std::to_string(record.generation), do_prove);
}

asio::awaitable<cluster::RewrapProgress> LocalMember::rewrap_volumes(Generation to) {
  return parts_.volumes.rewrap_all(to);
}

asio::awaitable<cluster::RewrapProgress> LocalMember::rewrap_progress() { co_return parts_.volumes.rewrap_progress(); }

asio::awaitable<std::set<Generation>> LocalMember::census() { return parts_.volumes.census(); }

asio::awaitable<void> LocalMember::retire_kek(Generation generation) {
  co_await follow_choice();
  // A drive that comes from now on waits until this has ended; then it opens, or is told that its generation is gone.
  const volumes::RetirementGate::Closed closed = parts_.volumes.close_to_attach(generation);
  // Looked at again here: what is destroyed cannot be brought back by anybody's later doubt.
  const std::set<Generation> used = co_await parts_.volumes.census();
  if (used.contains(generation))
    throw Error(errc::wrong_state,
                {"retire", "KEK generation " + std::to_string(generation), "A volume of this node still needs it."});
  // In both key stores: a number burnt in an enabling that was called off may lie where the cluster chose again, and
  // after a restart nothing may be chosen at all. Needs files alone, also where the TPM is absent.
  const auto do_destroy = [generation](KekStore& store) { store.destroy(generation); };
  for (const Protection protection : both_protections) {
    if (parts_.keys.has(protection))
      co_await parts_.keys.of(protection).with("destroy KEK generation " + std::to_string(generation), do_destroy);
  }
  unproved_.erase(generation);
  // The recovery key must not open what nobody else can open any more.
  const auto do_remove_durably = [file = recovery_file(generation)] { runtime::remove_durably(file); };
  co_await parts_.files.run("remove the recovery blob", file_deadline, do_remove_durably);
  cluster::Transaction transaction;
  transaction.then = {cluster::Delete{cluster::store_key::recovery(generation)}};
  (void)co_await parts_.store.commit(std::move(transaction));
}

asio::awaitable<std::vector<keys::RecoveryBlob>> LocalMember::recovery_blobs() {
  try {
    const std::vector<cluster::Entry> entries = co_await parts_.store.list(std::string(cluster::store_key::recoveries));
    std::vector<keys::RecoveryBlob> blobs;
    for (const cluster::Entry& entry : entries) blobs.push_back(cluster::parse_recovery_blob(entry.value));
    std::sort(blobs.begin(), blobs.end(), [](const auto& a, const auto& b) { return a.generation < b.generation; });
    co_return blobs;
  } catch (const Error& error) {
    runtime::log(runtime::Severity::warning,
                 "the store does not answer, taking the recovery blobs from files, ignoring",
                 {{"cause", error.what()}});
  }
  const auto do_read = [directory = parts_.recovery_directory] { return read_blobs(directory); };
  co_return co_await parts_.files.run("read the recovery blobs", file_deadline, do_read);
}

}  // namespace volcrypt
