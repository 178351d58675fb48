// See remote_member.hpp.
#include "agent/peer/remote_member.hpp"

#include "dmtarget/error.hpp"

namespace volcrypt::peer {
namespace {

template <class Answer>
[[noreturn]] Answer of_itself_alone(const char* what, const std::string& name) {
  throw Error(errc::wrong_state, {what, "the node " + volcrypt::quoted(name), "It is asked on that node alone."});
}

}  // namespace

const cluster::MemberEntry& RemoteMember::entry_in(const Roster& roster) const {
  const cluster::MemberEntry* entry = roster.by_node(id_);
  if (entry == nullptr)
    throw Error(errc::wrong_state,
                {"ask", "the node " + volcrypt::quoted(name_), "It is no member of the cluster any more."});
  return *entry;
}

CurrentRoster RemoteMember::roster() const {
  CurrentRoster now = parts_.roster();
  if (!now)
    throw Error(errc::wrong_state, {"ask the node " + volcrypt::quoted(name_), "for anything",
                                    "This node has not adopted its cluster's membership document yet."});
  return now;
}

Client RemoteMember::client() const {
  const CurrentRoster roster = this->roster();
  return {parts_.identity, roster->reach(entry_in(*roster))};
}

asio::awaitable<std::vector<std::string>> RemoteMember::key_warnings() {
  const Client client = this->client();
  Sentences warnings = co_await client.warnings();
  co_return std::move(warnings.sentences);
}

asio::awaitable<void> RemoteMember::adopt_membership(const cluster::SignedMembership& membership) {
  const cluster::SignedMembership document = membership;  // the caller's may not live as long as this coroutine
  const Client client = this->client();
  co_await client.adopt(document);
}

asio::awaitable<cluster::MemberReadiness> RemoteMember::readiness(keys::Protection protection) {
  const Client client = this->client();
  co_return co_await client.readiness(protection);
}

asio::awaitable<void> RemoteMember::prove_kek(const keys::KekRecord& record) {
  const CurrentRoster roster = this->roster();
  const cluster::MemberEntry& entry = entry_in(*roster);
  const bool tpm = record.protection == keys::Protection::tpm;
  const keys::NodeIdentity& identity = tpm ? entry.tpm : entry.software;
  const keys::Approvals& approvals = tpm ? entry.tpm_approvals : entry.software_approvals;
  KekPassage passage{record, parts_.self, {id_, identity.storage_key, approvals.duplication_approvals}};
  const Client client(parts_.identity, roster->reach(entry));
  co_await bring_kek(parts_.keys.of(record.protection), client, std::move(passage));
}

asio::awaitable<cluster::RewrapProgress> RemoteMember::rewrap_volumes(cluster::Generation to) {
  for (;;) {
    const Client client = this->client();
    RewrapAnswer answer = co_await client.rewrap(to);
    if (answer.finished) co_return std::move(answer.progress);
  }
}

asio::awaitable<cluster::RewrapProgress> RemoteMember::rewrap_progress() {
  const Client client = this->client();
  RewrapAnswer answer = co_await client.rewrap_progress();
  co_return std::move(answer.progress);
}

asio::awaitable<std::set<cluster::Generation>> RemoteMember::census() {
  const Client client = this->client();
  Census census = co_await client.census();
  co_return std::move(census.needed);
}

asio::awaitable<void> RemoteMember::retire_kek(cluster::Generation generation) {
  const Client client = this->client();
  co_await client.retire(generation);
}

asio::awaitable<keys::BootReport> RemoteMember::boot_report() {
  co_return of_itself_alone<keys::BootReport>("read the boot state of", name_);
}

asio::awaitable<cluster::SecureBoot> RemoteMember::secure_boot() {
  co_return of_itself_alone<cluster::SecureBoot>("ask the firmware of", name_);
}

asio::awaitable<keys::KekRecord> RemoteMember::create_kek(cluster::Generation) {
  co_return of_itself_alone<keys::KekRecord>("make a KEK on", name_);
}

}  // namespace volcrypt::peer
