// What the coordinator asks of one member of the cluster, whether it is this node or a peer on port 4007. The rotation
// driver knows members only through this. Coroutines on the loop; every call has a deadline inside the implementation.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "agent/cluster/membership.hpp"
#include "agent/cluster/state.hpp"
#include "agent/cluster/work.hpp"

namespace volcrypt::cluster {

namespace asio = boost::asio;

// What the firmware says; absent: no UEFI, or one without Secure Boot. On is what gives PCR 7 its meaning.
enum class SecureBoot { on, off, absent };

class Member {
 public:
  virtual ~Member() = default;
  virtual const Uuid& id() const = 0;
  virtual const std::string& name() const = 0;
  // The PCRs that decide, now; software: nothing bound, approved. The chosen protection's, TPM before `enable`.
  virtual asio::awaitable<keys::BootReport> boot_report() = 0;
  virtual asio::awaitable<SecureBoot> secure_boot() = 0;  // throws when the firmware's variable cannot be read
  // What the operator should mend on this member's keys: sentences, each with the way out. What cannot be found out now
  // is left out: boot_report() says why.
  virtual asio::awaitable<std::vector<std::string>> key_warnings() = 0;
  // Checks the document against the member's own pin (cluster, authority, newest version seen), stores its approvals in
  // each KekStore that this member has, then moves the pin. Idempotent. errc::bad_signature, errc::too_old.
  virtual asio::awaitable<void> adopt_membership(const SignedMembership& membership) = 0;
  virtual asio::awaitable<MemberReadiness> readiness(keys::Protection protection) = 0;
  // Creator only: new KEK, durable, duplicated to the recovery key (the blob is stored by the implementation first).
  virtual asio::awaitable<keys::KekRecord> create_kek(Generation generation) = 0;
  // Proof from the stored blob in a fresh session. Throws when this member cannot use the generation.
  virtual asio::awaitable<void> prove_kek(const keys::KekRecord& record) = 0;
  virtual asio::awaitable<RewrapProgress> rewrap_volumes(Generation to) = 0;  // resumable, idempotent
  virtual asio::awaitable<RewrapProgress> rewrap_progress() = 0;  // of the run under way, else of the last one
  // Generations that volumes owned by this member still refer to, read from headers where present, else from the
  // catalogue.
  virtual asio::awaitable<std::set<Generation>> census() = 0;
  virtual asio::awaitable<void> retire_kek(Generation generation) = 0;
};

}  // namespace volcrypt::cluster
