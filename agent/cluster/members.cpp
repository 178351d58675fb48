// See members.hpp.
#include "agent/cluster/members.hpp"

#include <algorithm>

#include "agent/cluster/keys_of_store.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

Members::Members(Store& store, LocalPin& pin, Member& self, Reach reach)
    : store_(store), pin_(pin), reach_(std::move(reach)), members_(1, MemberPtr(std::shared_ptr<void>(), &self)) {}

asio::awaitable<void> Members::reload() {
  const auto entry = co_await store_.get(std::string(store_key::membership));
  if (!entry || entry->modified == revision_) co_return;
  const auto pinned = co_await pin_.read();
  const auto membership = open_membership(parse_signed_membership(entry->value), pinned ? &pinned->pin : nullptr);
  std::vector<MemberPtr> members(1, members_.front());
  bool is_member = false;
  for (const auto& member : membership.members) {
    if (member.node == self().id())
      is_member = true;
    else
      members.push_back(member_for(member));
  }
  if (!is_member)
    throw NotAMember(errc::wrong_state,
                     {"take part in", "cluster " + volcrypt::quoted(membership.cluster_name),
                      "This node is none of its members any more. Its volumes attach as long as their KEK generation "
                      "lasts here."});
  members_ = std::move(members);
  revision_ = entry->modified;
  trust_epoch_ = membership.trust_epoch;
}

MemberPtr Members::member_for(const MemberEntry& entry) const {
  const auto known = find(entry.node);
  if (known && known->name() == entry.name) return known;
  if (!reach_)
    throw Error(errc::wrong_state, {"ask the node", volcrypt::quoted(entry.name), "This agent reaches none."});
  return reach_(entry);
}

MemberPtr Members::find(const Uuid& id) const {
  const auto found = std::ranges::find_if(members_, [&](const MemberPtr& member) { return member->id() == id; });
  return found == members_.end() ? nullptr : *found;
}

std::string Members::name_of(const Uuid& id) const {
  const auto member = find(id);
  return member ? member->name() : id.str();
}

std::set<Uuid> Members::ids() const {
  std::set<Uuid> found;
  for (const auto& member : members_) found.insert(member->id());
  return found;
}

}  // namespace volcrypt::cluster
