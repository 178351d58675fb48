// Members: the nodes of the newest membership document in the store, as the coordinator sees them. Coroutines on the
// loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/cluster/local_pin.hpp"
#include "agent/cluster/member.hpp"
#include "agent/cluster/store.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

using MemberPtr = std::shared_ptr<Member>;  // held during a question, for the document may change meanwhile

// errc::wrong_state: this node was removed, or never admitted.
class NotAMember final : public Error {
 public:
  using Error::Error;
};

class Members {
 public:
  // Another node, by its entry of the document.
  using Reach = std::function<MemberPtr(const MemberEntry&)>;

  // `self` is this node. Without `reach` a document with another node is refused (errc::wrong_state). All outlive this.
  Members(Store& store, LocalPin& pin, Member& self, Reach reach = {});

  // Reads the document, if it is another one than at the last call. A member that stays is the same object still.
  // Throws as open_membership(), or NotAMember. Then nothing has changed.
  asio::awaitable<void> reload();
  // Of the document that was read last, to be compared in every transaction that depends on who the members are; 0: no
  // document.
  Revision revision() const noexcept { return revision_; }
  std::uint64_t trust_epoch() const noexcept { return trust_epoch_; }  // of the same document

  Member& self() const noexcept { return *members_.front(); }
  const std::vector<MemberPtr>& all() const noexcept { return members_; }  // this node first; alone before a document
  MemberPtr find(const Uuid& id) const;                                    // null: none
  std::string name_of(const Uuid& id) const;                               // the id, for none
  std::set<Uuid> ids() const;

 private:
  MemberPtr member_for(const MemberEntry& entry) const;

  Store& store_;
  LocalPin& pin_;
  Reach reach_;
  std::vector<MemberPtr> members_;
  Revision revision_ = 0;
  std::uint64_t trust_epoch_ = 1;
};

}  // namespace volcrypt::cluster
