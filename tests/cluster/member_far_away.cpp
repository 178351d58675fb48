// See member_far_away.hpp.
#include "tests/cluster/member_far_away.hpp"

#include "agent/cluster/keys_of_store.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::test {

using namespace cluster;

namespace {

constexpr auto deadline = 4s;

asio::awaitable<bool> retire(MemberAtHome& home, Generation generation) {
  co_await home.retire_kek(generation);
  co_return true;
}

asio::awaitable<bool> receive(MemberAtHome& home, Uuid sender, keys::KekRecord record) {
  co_await home.receive_kek(sender, std::move(record));
  co_return true;
}

asio::awaitable<bool> adopt(MemberAtHome& home, SignedMembership membership) {
  co_await home.adopt_membership(membership);
  co_return true;
}

asio::awaitable<bool> holds(SimulatedNode& there, Uuid asker, Generation generation) {
  const auto known = co_await there.known_members();
  co_return known.contains(asker) && there.disk.held.contains(generation);
}

}  // namespace

template <class T>
asio::awaitable<T> MemberFarAway::answer(SimulatedNode& there, Uuid asker, Question<T> question) {
  const auto known = co_await there.known_members();
  if (!known.contains(asker))
    throw Error(errc::peer_refused, {"answer", asker.str(), "It is no member that is known here."});
  auto awaited = question(*there.member);
  co_return co_await std::move(awaited);
}

template <class T>
asio::awaitable<T> MemberFarAway::ask(Question<T> question) {
  std::function<asio::awaitable<T>()> work = [this_there = &there_, asker = here_.disk.id, question] {
    return answer<T>(*this_there, asker, question);
  };
  auto given = co_await around_.network.call<T>(here_.number, there_.number, std::move(work), deadline);
  if (!given) throw Error(errc::timed_out, {"reach", there_.disk.name, "Is it up?"});
  co_return std::move(*given);
}

asio::awaitable<void> MemberFarAway::order(Question<bool> question) { co_await ask<bool>(std::move(question)); }

asio::awaitable<keys::BootReport> MemberFarAway::boot_report() {
  return ask<keys::BootReport>([](MemberAtHome& home) { return home.boot_report(); });
}
asio::awaitable<SecureBoot> MemberFarAway::secure_boot() {
  return ask<SecureBoot>([](MemberAtHome& home) { return home.secure_boot(); });
}
asio::awaitable<std::vector<std::string>> MemberFarAway::key_warnings() {
  return ask<std::vector<std::string>>([](MemberAtHome& home) { return home.key_warnings(); });
}
asio::awaitable<void> MemberFarAway::adopt_membership(const SignedMembership& membership) {
  return order([membership](MemberAtHome& home) { return adopt(home, membership); });
}
asio::awaitable<MemberReadiness> MemberFarAway::readiness(keys::Protection protection) {
  return ask<MemberReadiness>([protection](MemberAtHome& home) { return home.readiness(protection); });
}
asio::awaitable<keys::KekRecord> MemberFarAway::create_kek(Generation generation) {
  return ask<keys::KekRecord>([generation](MemberAtHome& home) { return home.create_kek(generation); });
}

asio::awaitable<void> MemberFarAway::prove_kek(const keys::KekRecord& record) {
  if (!here_.disk.held.contains(record.generation))
    throw Error(errc::wrong_generation, {"send", "KEK generation " + std::to_string(record.generation), ""});
  return order([sender = here_.disk.id, record](MemberAtHome& home) { return receive(home, sender, record); });
}

asio::awaitable<RewrapProgress> MemberFarAway::rewrap_volumes(Generation to) {
  return ask<RewrapProgress>([to](MemberAtHome& home) { return home.rewrap_volumes(to); });
}
asio::awaitable<RewrapProgress> MemberFarAway::rewrap_progress() {
  return ask<RewrapProgress>([](MemberAtHome& home) { return home.rewrap_progress(); });
}
asio::awaitable<std::set<Generation>> MemberFarAway::census() {
  return ask<std::set<Generation>>([](MemberAtHome& home) { return home.census(); });
}
asio::awaitable<void> MemberFarAway::retire_kek(Generation generation) {
  return order([generation](MemberAtHome& home) { return retire(home, generation); });
}

asio::awaitable<void> MemberFarAway::give_kek(Generation generation) {
  std::function<asio::awaitable<bool>()> question = [there = &there_, asker = here_.disk.id, generation] {
    return holds(*there, asker, generation);
  };
  const auto given = co_await around_.network.call<bool>(here_.number, there_.number, std::move(question), deadline);
  if (!given || !*given) co_return;
  const auto entry = co_await here_.store.get(store_key::generation(generation));
  if (entry) co_await here_.member->receive_kek(there_.disk.id, parse_kek_record(entry->value));
}

}  // namespace volcrypt::test
