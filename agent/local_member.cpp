// LocalMember, see local_member.hpp. A KEK's recovery blob is durable before the KEK is reported as made.
#include "agent/local_member.hpp"

#include <algorithm>
#include <array>

#include "agent/cluster/kek_upkeep.hpp"
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

constexpr const char* made_without_tpm =
    "This cluster was made without a TPM (`cluster init --without-tpm`), and stays so. Enable it with --protection "
    "software; or make another one, which costs nothing before encryption is enabled: stop volcryptd, move its state "
    "directory aside, start it, and run `volcryptctl cluster init`.";
constexpr const char* joined_without_tpm =
    "This node joined without its TPM (`cluster join --without-tpm`). Enable encryption with --protection software; or "
    "take this node out (`volcryptctl node remove NAME --authority-file FILE`), stop its volcryptd, move its state "
    "directory aside, start "
    "it, "
    "and let it join again with its TPM.";

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

asio::awaitable<cluster::SecureBoot> LocalMember::secure_boot() {
  constexpr std::chrono::seconds firmware_deadline{10};
  const auto do_read = [directory = parts_.firmware] { return read_secure_boot(directory); };
  co_return co_await parts_.files.run("ask the firmware for Secure Boot", firmware_deadline, do_read);
}

asio::awaitable<std::vector<std::string>> LocalMember::key_warnings() {
  std::vector<std::string> found = co_await proof_.warnings();
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
    throw Error(
        errc::wrong_state,
        {"adopt", "the membership document of cluster " + volcrypt::quoted(opened.cluster_name),
         pinned ? "This node is none of its members any more."
                : "This node was not admitted. Ask again: `volcryptctl cluster join ADDRESS --token-file FILE`."});
  // The first document is believed because this node's keys were made for its authority.
  const auto& known = parts_.node_file.known();
  if (!pinned && known &&
      (known->identity.cluster != opened.cluster || known->identity.authority_public != opened.authority_public))
    throw Error(errc::bad_signature, {"adopt", "the membership document",
                                      "It is of another cluster or authority than this node's keys were made for."});
  parts_.adopted(opened);  // whoever was removed is a stranger at once, whatever this node's TPM says
  co_await adopt(Protection::software, self->software_approvals);
  co_await adopt(Protection::tpm, self->tpm_approvals);
  co_await parts_.pin.see_membership(document);
  name_ = self->name;
  parts_.volumes.known_as(id());
  parts_.volumes.joined(opened.cluster);
  may_have_strays_ = true;
}

asio::awaitable<cluster::MemberReadiness> LocalMember::readiness(Protection protection) {
  cluster::MemberReadiness readiness{VOLCRYPT_VERSION, {}};
  const std::optional<cluster::PinnedState> pinned = co_await parts_.pin.read();
  if (pinned) {
    const cluster::Membership membership = cluster::parse_membership(pinned->newest.document);
    const auto has_tpm = [](const cluster::MemberEntry& member) {
      return !member.tpm_approvals.authority_public.empty();
    };
    const auto self = std::ranges::find(membership.members, id(), &cluster::MemberEntry::node);
    const bool is_member = self != membership.members.end();
    if (is_member) {
      const std::string unreachable = co_await parts_.unreachable(*self);
      if (!unreachable.empty()) readiness.failures.push_back(unreachable);
    }
    if (protection == Protection::tpm && is_member && !has_tpm(*self)) {
      readiness.failures.push_back(std::ranges::any_of(membership.members, has_tpm) ? joined_without_tpm
                                                                                    : made_without_tpm);
      co_return readiness;
    }
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
  // For as long as it is made: what another coordinator has burnt meanwhile is not destroyed before it is there.
  struct Making {
    std::shared_ptr<std::set<Generation>> all;
    Generation number;
    Making(std::shared_ptr<std::set<Generation>> made, Generation added) : all(std::move(made)), number(added) {
      all->insert(number);
    }
    ~Making() { all->erase(number); }
    Making(const Making&) = delete;
    Making& operator=(const Making&) = delete;
  } const making(in_the_making_, generation);
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
  co_await proof_.prove(record);
}

asio::awaitable<cluster::RewrapProgress> LocalMember::rewrap_volumes(Generation to) {
  return parts_.volumes.rewrap_all(to);
}

asio::awaitable<cluster::RewrapProgress> LocalMember::rewrap_progress() { co_return parts_.volumes.rewrap_progress(); }

asio::awaitable<std::set<Generation>> LocalMember::census() { return parts_.volumes.census(); }

asio::awaitable<void> LocalMember::retire_kek(Generation generation) {
  if (in_the_making_->contains(generation))
    throw Error(errc::wrong_state, {"retire", "KEK generation " + std::to_string(generation),
                                    "This node is still making it; tried again."});
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
  proof_.forget(generation);
  // The recovery key must not open what nobody else can open any more.
  const auto do_remove_durably = [file = recovery_file(generation)] { runtime::remove_durably(file); };
  co_await parts_.files.run("remove the recovery blob", file_deadline, do_remove_durably);
  cluster::Transaction transaction;
  transaction.then = {cluster::Delete{cluster::store_key::recovery(generation)}};
  (void)co_await parts_.store.commit(std::move(transaction));
}

asio::awaitable<void> LocalMember::destroy_stray_keks() {
  if (!may_have_strays_ || !parts_.keys.choice()) co_return;
  const auto look = [](KekStore& store) { return store.held(); };
  const auto records = co_await parts_.keys.chosen().with("look for KEKs", look);
  const std::optional<cluster::Entry> entry = co_await parts_.store.get(std::string(cluster::store_key::encryption));
  if (!entry) co_return;
  std::set<Generation> held;
  for (const keys::KekRecord& record : records) held.insert(record.generation);
  const auto strays = cluster::stray_keks(cluster::parse_encryption_state(entry->value), held);
  if (!strays) co_return;
  for (const Generation stray : *strays) {
    co_await retire_kek(stray);
    runtime::log(runtime::Severity::notice, "a KEK that the cluster let go while this node was away is destroyed",
                 {{"generation", std::to_string(stray)}});
  }
  may_have_strays_ = false;
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
