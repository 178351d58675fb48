// ClusterService: who is a member: the document is stored, adopted here, and told to the others.
#include <algorithm>

#include "agent/cluster/ask_all.hpp"
#include "agent/cluster/cluster_service_state.hpp"
#include "agent/cluster/kek_upkeep.hpp"
#include "agent/cluster/keys_of_store.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

namespace {

Transaction replacing(const std::string& key, std::string value, Revision before) {
  Transaction transaction;
  transaction.when.push_back({key, before});
  transaction.then.emplace_back(Put{key, std::move(value)});
  return transaction;
}

Transaction removing(const Entry& entry) {
  Transaction transaction;
  transaction.when.push_back({entry.key, entry.modified});
  transaction.then.emplace_back(Delete{entry.key});
  return transaction;
}

asio::awaitable<bool> told(Member& member, SignedMembership document) {
  co_await member.adopt_membership(document);
  co_return true;
}

bool has(const Membership& membership, const Uuid& node) {
  return std::ranges::find(membership.members, node, &MemberEntry::node) != membership.members.end();
}

// Those of `these` that are none of `those`.
std::vector<Uuid> others(const Membership& these, const Membership& those) {
  std::vector<Uuid> found;
  for (const auto& member : these.members)
    if (!has(those, member.node)) found.push_back(member.node);
  return found;
}

// Any of them, to any question.
asio::awaitable<bool> one_answers(std::shared_ptr<Members> members, std::vector<Uuid> nodes) {
  std::vector<MemberPtr> asked;
  for (const auto& node : nodes)
    if (auto member = members->find(node)) asked.push_back(std::move(member));
  if (asked.empty()) co_return false;
  Poll<RewrapProgress>::Question ask = [](Member& member) { return member.rewrap_progress(); };
  const auto answers = co_await Poll<RewrapProgress>::take(std::move(asked), std::move(ask));
  co_return std::ranges::any_of(answers, [](const Answer<RewrapProgress>& answer) { return answer.value.has_value(); });
}

}  // namespace

asio::awaitable<void> ClusterService::State::put(std::string key, std::string value, Revision before) {
  const auto committed = co_await store.commit(replacing(key, std::move(value), before));
  if (!committed) throw Error(errc::conflict, {"write", "the store's key " + key, "Try again."});
}

asio::awaitable<void> ClusterService::State::adopt(SignedMembership signed_document) {
  co_await self.adopt_membership(signed_document);
  co_await members->reload();
  not_adopted.clear();
}

asio::awaitable<void> ClusterService::State::tell_others(SignedMembership signed_document) {
  std::vector<MemberPtr> others(members->all().begin() + 1, members->all().end());
  Poll<bool>::Question tell = [document = std::move(signed_document)](Member& member) {
    return told(member, document);
  };
  co_await Poll<bool>::take(std::move(others), std::move(tell));
}

// A member that was away or is new may lack a KEK that only the one who goes has: no volume could be opened again. What
// is being distributed is burnt when a member goes.
asio::awaitable<void> ClusterService::State::check_keks_stay(EncryptionState encryption) {
  const auto needed = missing_keks(encryption, {});
  for (const auto generation : needed) {
    std::string cause = "The store has no record of it.";
    try {
      const auto entry = co_await stored(store_key::generation(generation));
      if (entry) {
        co_await self.prove_kek(parse_kek_record(entry->value));
        continue;
      }
    } catch (const Error& error) {
      cause = error.what();
    }
    throw Error(errc::wrong_generation,
                {"remove", "a node",
                 "KEK generation " + std::to_string(generation) + " cannot be used at " + self.name() +
                     ", so the node that goes may be the only one that has it (" + cause +
                     "). Give the command on a member whose volumes attach, or wait until this one has fetched it. A "
                     "node that does not answer is removed all the same."});
  }
}

asio::awaitable<void> ClusterService::init(SignedMembership membership) {
  auto& state = *state_;
  const auto opened = open_membership(membership, nullptr);
  const auto pinned = co_await state.pin.read();
  const auto entry = co_await state.stored(store_key::membership);
  const auto value = to_json(membership);
  // The document counts: the same one may have been signed twice.
  const bool repeated = entry && parse_signed_membership(entry->value).document == membership.document;
  if ((entry && !repeated) || (pinned && pinned->newest.document != membership.document)) {
    throw Error(errc::wrong_state, {"make", "cluster " + volcrypt::quoted(opened.cluster_name),
                                    "This node belongs to a cluster already."});
  }
  if (!has(opened, state.self.id())) {
    throw Error(errc::invalid_argument,
                {"make", "cluster " + volcrypt::quoted(opened.cluster_name), "This node is not among its members."});
  }
  if (!repeated) co_await state.put(std::string(store_key::membership), value, 0);
  std::exception_ptr failure;
  try {
    co_await state.adopt(membership);
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  if (failure && repeated) std::rethrow_exception(failure);
  if (failure) {
    // Where the pin stands in spite of it the cluster exists, and the next verb or start does the rest: without its
    // document this node would belong to a cluster that nobody knows. Otherwise nothing depends on the document yet.
    const auto stands = co_await state.pin.read();
    const auto stored = co_await state.stored(store_key::membership);
    if (!stands && stored && stored->value == value) {
      co_await state.store.commit(removing(*stored));
    }
    std::rethrow_exception(failure);
  }
  co_await state.ready();
}

asio::awaitable<void> ClusterService::update_membership(SignedMembership membership) {
  auto& state = *state_;
  co_await state.ready();
  const auto entry = co_await state.stored(store_key::membership);
  if (!entry) throw Error(errc::store_damaged, {"read", "the membership document", "It vanished from the store."});
  const auto present_document = parse_signed_membership(entry->value);
  const auto pinned = co_await state.pin.read();
  const auto present = open_membership(present_document, pinned ? &pinned->pin : nullptr);
  const Pin pin{present.cluster, present.authority_public, present.version};
  const auto opened = open_membership(membership, &pin);
  const bool repeated = membership.document == present_document.document;
  if (!repeated && opened.version == present.version) {
    throw Error(errc::too_old, {"accept", "another membership document of version " + std::to_string(opened.version),
                                "Fetch the present one, change it and sign it again."});
  }
  const auto encryption = co_await state.driver->load();
  if (!has(opened, state.self.id()))
    throw Error(errc::invalid_argument, {"remove", "this node", "Give the command on another member, which goes on."});
  if (encryption.phase == EncryptionPhase::Enabling && !others(opened, present).empty()) {
    throw Error(errc::wrong_state, {"admit", "a node",
                                    "Cluster encryption is being enabled now, over those who are members. Try again "
                                    "when that has ended: see `volcryptctl get clusterinfo`."});
  }
  // One that does not answer has nothing to wait for: when it comes back, it is admitted again with what it has.
  const auto leavers = others(present, opened);
  const bool can_be_waited_for = co_await one_answers(state.members, leavers);
  if (can_be_waited_for) co_await state.check_keks_stay(encryption);
  if (!repeated) co_await state.put(entry->key, to_json(membership), entry->modified);
  co_await state.adopt(membership);
  co_await state.tell_others(std::move(membership));
}

asio::awaitable<std::optional<SignedMembership>> ClusterService::membership() {
  const auto entry = co_await state_->stored(store_key::membership);
  if (!entry) co_return std::nullopt;
  auto document = parse_signed_membership(entry->value);
  const auto pinned = co_await state_->pin.read();
  if (pinned) open_membership(document, &pinned->pin);  // nobody shall change and sign an old one
  co_return document;
}

}  // namespace volcrypt::cluster
