// JSON of the API's answers.
#include "agent/control/render.hpp"

#include "agent/control/documents.hpp"

namespace volcrypt::control {

namespace {

template <class Numbers>
json::array numbers(const Numbers& all) {
  json::array array;
  for (const auto number : all) array.emplace_back(number);
  return array;
}

json::array texts(const std::vector<std::string>& all) {
  json::array array;
  for (const auto& text : all) array.emplace_back(text);
  return array;
}

json::value text_or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }

json::value number_or_null(std::uint64_t number) { return number == 0 ? json::value(nullptr) : json::value(number); }

json::object render(const cluster::EncryptionState& state) {
  return {{"state", to_text(state.phase)},
          {"featureFlag", state.feature_flag},
          {"keyProtection", state.protection ? json::value(to_text(*state.protection)) : json::value(nullptr)},
          {"currentKekGeneration", number_or_null(state.current)},
          {"previousKekGenerations", numbers(state.previous)},
          {"rotationState", to_text(state.rotation)},
          {"distributingKekGeneration", number_or_null(state.distributing)},
          {"highestKekGenerationUsed", number_or_null(state.highest_used)}};
}

json::value render_cluster(const std::optional<cluster::Membership>& membership) {
  if (!membership) return nullptr;
  json::array members;
  for (const auto& member : membership->members) {
    members.emplace_back(json::object{{"id", member.node.str()},
                                      {"name", member.name},
                                      {"addresses", texts(member.addresses)},
                                      {"tpm", text_or_null(member.tpm.storage_key.empty() ? "" : member.tpm.maker)}});
  }
  return json::object{{"id", membership->cluster.str()},
                      {"name", membership->cluster_name},
                      {"membershipVersion", membership->version},
                      {"trustEpoch", membership->trust_epoch},
                      {"members", std::move(members)}};
}

json::object render(const dm::Description& description) {
  return {{"cipher", description.cipher},
          {"keyBytes", description.key_bytes},
          {"sectorSize", description.sector_size},
          {"dataOffset", description.data_offset},
          {"discards", description.discards == dm::Discards::passed_down ? "passedDown" : "refused"},
          {"workqueues", description.workqueues == dm::Workqueues::bypassed ? "bypassed" : "used"}};
}

json::object render_recovery(const cluster::ClusterInfo& info) {
  json::value since;
  if (info.unverified_since) since = *info.unverified_since;
  return {{"verified", info.recovery_verified},
          {"verifiedAt", text_or_null(info.recovery_verified_at)},
          {"unverifiedSinceGeneration", since}};
}

}  // namespace

std::string to_text(cluster::EncryptionPhase phase) {
  switch (phase) {
    case cluster::EncryptionPhase::Disabled:
      return "Disabled";
    case cluster::EncryptionPhase::Enabling:
      return "Enabling";
    case cluster::EncryptionPhase::Enabled:
      return "Enabled";
  }
  return "unknown";
}

std::string to_text(cluster::RotationPhase phase) {
  switch (phase) {
    case cluster::RotationPhase::NoRotation:
      return "NoRotation";
    case cluster::RotationPhase::DistributingKEK:
      return "DistributingKEK";
    case cluster::RotationPhase::EncryptingDEKs:
      return "EncryptingDEKs";
  }
  return "unknown";
}

std::string to_text(volumes::Condition condition) {
  switch (condition) {
    case volumes::Condition::attached:
      return "attached";
    case volumes::Condition::detached:
      return "detached";
    case volumes::Condition::absent:
      return "absent";
    case volumes::Condition::failed:
      return "failed";
    case volumes::Condition::unknown:
      return "unknown";
  }
  return "unknown";
}

json::value text_of(std::optional<cluster::SecureBoot> secure_boot) {
  if (!secure_boot) return nullptr;
  switch (*secure_boot) {
    case cluster::SecureBoot::on:
      return "on";
    case cluster::SecureBoot::off:
      return "off";
    case cluster::SecureBoot::absent:
      break;
  }
  return "absent";
}

json::object render(const cluster::RotationView& rotation) {
  json::array members;
  for (const auto& [name, proved, rewrapped, rewrap] : rotation.progress) {
    members.emplace_back(json::object{{"name", name},
                                      {"proved", proved},
                                      {"rewrapped", rewrapped},
                                      {"total", rewrap.total},
                                      {"done", rewrap.done},
                                      {"absent", rewrap.absent},
                                      {"failures", texts(rewrap.failures)}});
  }
  return {{"rotationState", to_text(rotation.state.rotation)},
          {"currentKekGeneration", number_or_null(rotation.state.current)},
          {"previousKekGenerations", numbers(rotation.state.previous)},
          {"distributingKekGeneration", number_or_null(rotation.state.distributing)},
          {"members", std::move(members)},
          {"waitingFor", text_or_null(rotation.waiting_for)},
          {"lastFailure", text_or_null(rotation.last_failure)}};
}

json::object render(const cluster::ClusterInfo& info) {
  json::array generations;
  for (const auto& kek : info.generations) {
    generations.emplace_back(
        json::object{{"generation", kek.generation}, {"role", kek.role}, {"name", to_hex(kek.name)}});
  }
  return {{"version", info.version},
          {"cluster", render_cluster(info.membership)},
          {"encryptionState", render(info.encryption)},
          {"rotation", render(info.rotation)},
          {"generations", std::move(generations)},
          {"bootState", render(info.boot)},
          {"secureBoot", text_of(info.secure_boot)},
          {"recovery", render_recovery(info)},
          {"warnings", texts(info.warnings)}};
}

json::array render(const std::vector<cluster::EnableCheck>& checks) {
  json::array nodes;
  for (const auto& check : checks) {
    nodes.emplace_back(json::object{{"node", check.node}, {"failures", texts(check.failures)}});
  }
  return nodes;
}

json::object render(const volumes::VolumeView& volume) {
  const auto& record = volume.record;
  json::value failure = nullptr;
  if (!volume.failure.empty()) failure = json::object{{"kind", volume.failure_kind}, {"message", volume.failure}};
  return {{"name", record.name},
          {"id", record.volume.str()},
          {"state", to_text(volume.condition)},
          {"device", text_or_null(volume.device)},
          {"mapping", text_or_null(volume.mapping)},
          {"kekGeneration", record.generation},
          {"bytes", record.bytes},
          {"owner", record.owner.str()},
          {"ownerName", text_or_null(volume.owner_name)},
          {"group", record.group.str()},
          {"lastDevice", text_or_null(record.device_hint)},
          {"failure", std::move(failure)},
          {"description", volume.description ? json::value(render(*volume.description)) : json::value(nullptr)}};
}

json::object render(const volumes::Outcome& outcome) {
  return {{"changed", outcome.changed == dm::Changed::yes}, {"volume", render(outcome.volume)}};
}

json::object render_boot_state(const keys::BootReport& report, std::optional<cluster::SecureBoot> secure_boot,
                               const cluster::MemberEntry* member) {
  json::object object = render(report);
  object.emplace("secureBoot", text_of(secure_boot));
  object.emplace("node", member ? json::value(member->node.str()) : json::value(nullptr));
  json::array approved;
  if (member) {
    const auto& states = member->tpm_approvals.boot_states;
    for (auto state = states.rbegin(); state != states.rend(); ++state) {
      approved.emplace_back(
          json::object{{"digest", to_hex(state->pcr_digest)}, {"matchesNow", state->pcr_digest == report.digest_now}});
    }
  }
  object.emplace("approved", std::move(approved));
  return object;
}

}  // namespace volcrypt::control
