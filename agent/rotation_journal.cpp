// See rotation_journal.hpp.
#include "agent/rotation_journal.hpp"

#include "agent/cluster/changes.hpp"
#include "agent/runtime/log.hpp"

namespace volcrypt {

namespace {

using runtime::Severity;

void tell_changes(const cluster::EncryptionState& before, const cluster::EncryptionState& after) {
  for (const cluster::Change& change : cluster::changes(before, after)) {
    if (change.generation == 0)
      runtime::log(Severity::notice, change.text, {});
    else
      runtime::log(Severity::notice, change.text, {{"generation", std::to_string(change.generation)}});
  }
}

void tell_waiting(const std::string& cause) {
  runtime::log(Severity::error, "enabling or rotation cannot go on; trying again", {{"cause", cause}});
}

}  // namespace

cluster::DriverOptions journalled(std::chrono::seconds coordinator_lease) {
  cluster::DriverOptions options;
  options.lease_ttl = coordinator_lease;
  options.changed = tell_changes;
  options.waiting = tell_waiting;
  return options;
}

}  // namespace volcrypt
