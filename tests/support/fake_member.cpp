// The member in memory, see fake_member.hpp.
#include "tests/support/fake_member.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/cluster/keys_of_store.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::test {

using namespace cluster;

namespace {

Bytes name_of(Generation generation) { return {0, 0x0B, static_cast<std::uint8_t>(generation)}; }

Transaction put_recovery(Generation generation) {
  keys::RecoveryBlob blob;
  blob.generation = generation;
  blob.name = name_of(generation);
  Transaction transaction;
  transaction.then.emplace_back(Put{store_key::recovery(generation), to_json(blob)});
  return transaction;
}

Error refusal(errc cause, const char* operation, Generation generation) {
  return Error(cause, {operation, "KEK generation " + std::to_string(generation), ""});
}

}  // namespace

asio::awaitable<void> FakeMember::pass(std::string operation) {
  co_await asio::post(asio::use_awaitable);
  if (around) co_await around(std::move(operation));
}

asio::awaitable<keys::BootReport> FakeMember::boot_report() {
  co_await pass("boot_report");
  keys::BootReport report;
  report.approved_now = true;
  co_return report;
}

asio::awaitable<SecureBoot> FakeMember::secure_boot() {
  co_await pass("secure_boot");
  co_return node_.secure_boot;
}

asio::awaitable<std::vector<std::string>> FakeMember::key_warnings() {
  co_await pass("key_warnings");
  co_return node_.key_warnings;
}

asio::awaitable<void> FakeMember::adopt_membership(const SignedMembership& membership) {
  const auto document = membership;
  co_await pass("adopt");
  if (pin_ != nullptr) co_await pin_->see_membership(document);
  ++node_.adopted;
  co_await pass("adopted");
}

asio::awaitable<MemberReadiness> FakeMember::readiness(keys::Protection) {
  co_await pass("readiness");
  co_return MemberReadiness{node_.version, node_.not_ready};
}

asio::awaitable<keys::KekRecord> FakeMember::create_kek(Generation generation) {
  co_await pass("create");
  if (!node_.ever_made.insert(generation).second) throw refusal(errc::already_exists, "create", generation);
  node_.held.insert(generation);
  co_await pass("created, no recovery blob");
  co_await store_.commit(put_recovery(generation));
  co_await pass("created");
  keys::KekRecord record;
  record.generation = generation;
  record.name = name_of(generation);
  co_return record;
}

asio::awaitable<void> FakeMember::prove_kek(const keys::KekRecord& record) {
  const auto generation = record.generation;
  co_await pass("prove");
  if (!node_.held.contains(generation)) {  // a peer receives it on the way; the creator must have it
    if (node_.ever_made.contains(generation)) throw refusal(errc::wrong_generation, "prove", generation);
    node_.held.insert(generation);
    node_.ever_made.insert(generation);
  }
  node_.proved.insert(generation);
  co_await pass("proved");
}

asio::awaitable<RewrapProgress> FakeMember::rewrap_volumes(Generation to) {
  co_await pass("rewrap");
  progress_ = {node_.volumes.size(), 0, 0, {}};
  for (auto& [name, volume] : node_.volumes) {
    if (volume.drive == Drive::absent) {
      ++progress_.absent;
    } else if (volume.generation >= to) {  // an order that comes late takes nothing back
      ++progress_.done;
    } else if (volume.drive == Drive::failing || !node_.opens(volume) || !node_.held.contains(to)) {
      progress_.failures.push_back("volume " + name + ": I/O error");
    } else {
      volume.generation = to;
      ++progress_.done;
      co_await pass("rewrapped one");
    }
  }
  co_return progress_;
}

asio::awaitable<RewrapProgress> FakeMember::rewrap_progress() {
  co_await pass("progress");
  co_return progress_;
}

asio::awaitable<std::set<Generation>> FakeMember::census() {
  co_await pass("census");
  std::set<Generation> needed;
  for (const auto& [name, volume] : node_.volumes) needed.insert(volume.generation);
  co_return needed;
}

asio::awaitable<void> FakeMember::retire_kek(Generation generation) {
  co_await pass("retire");
  node_.held.erase(generation);
  node_.destroyed.insert(generation);
  co_await pass("retired");
}

}  // namespace volcrypt::test
