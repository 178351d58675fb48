// Spelling and strict parsing of the store's documents, see state.hpp. Each has "version": 1; 64-bit numbers are
// decimal strings, bytes are base64. A member that has no value in a state is left out ("protection") or empty, never
// null.
#include "agent/cluster/state.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "agent/cluster/documents.hpp"
#include "dmtarget/name.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt::cluster {

namespace json = boost::json;
using keys::Protection;

namespace {

const JsonDocument encryption_document{"the cluster's encryption state", 1024 * 1024, 4, errc::store_damaged};
const JsonDocument volume_document{"a volume's record", 16 * 1024, 4, errc::store_damaged};
const JsonDocument kek_document{"a generation's record", 64 * 1024, 4, errc::store_damaged};
const JsonDocument recovery_document{"a recovery blob", 64 * 1024, 4, errc::store_damaged};

json::array render(const std::set<Generation>& numbers) {
  json::array array;
  for (const auto number : numbers) array.emplace_back(std::to_string(number));
  return array;
}

json::array render(const std::set<Uuid>& members) {
  json::array array;
  for (const auto& member : members) array.emplace_back(member.str());
  return array;
}

std::set<Generation> read_generations(MemberReader& members, std::string_view name) {
  std::set<Generation> numbers;
  for (const auto& text : documents::texts(members, name)) {
    const auto number = documents::decimal(text);
    if (!number || *number == 0 || (!numbers.empty() && *number <= *numbers.rbegin())) {
      members.refuse(name, "It must hold generation numbers as decimal strings, ascending.");
    }
    numbers.insert(*number);
  }
  return numbers;
}

std::set<Uuid> read_members(MemberReader& members, std::string_view name) {
  std::set<Uuid> uuids;
  for (const auto& text : documents::texts(members, name)) {
    const auto uuid = documents::read(members, name, [&] { return Uuid::parse(text); });
    if (!uuids.empty() && uuid <= *uuids.rbegin()) members.refuse(name, "Its UUIDs must be ascending.");
    uuids.insert(uuid);
  }
  return uuids;
}

EncryptionPhase read_phase(MemberReader& members) {
  const auto text = members.text("state");
  for (const auto phase : {EncryptionPhase::Disabled, EncryptionPhase::Enabling, EncryptionPhase::Enabled}) {
    if (text == spelling(phase)) return phase;
  }
  members.refuse("state", "It must be Disabled, Enabling or Enabled.");
}

RotationPhase read_rotation(MemberReader& members) {
  const auto text = members.text("rotation");
  for (const auto phase : {RotationPhase::NoRotation, RotationPhase::DistributingKEK, RotationPhase::EncryptingDEKs}) {
    if (text == spelling(phase)) return phase;
  }
  if (text == "EncryptyingDEKs") return RotationPhase::EncryptingDEKs;
  members.refuse("rotation", "It must be NoRotation, DistributingKEK or EncryptingDEKs.");
}

Protection read_protection(MemberReader& members) {
  const auto text = members.text("protection");
  return documents::read(members, "protection", [&] { return parse_protection(text); });
}

Generation read_generation(MemberReader& members) {
  const auto number = members.decimal_string("generation");
  if (number == 0) members.refuse("generation", "Generations start at 1.");
  return number;
}

bool disjoint(const std::set<Generation>& a, const std::set<Generation>& b) {
  return std::none_of(a.begin(), a.end(), [&](Generation number) { return b.contains(number); });
}

std::string flaw_of_numbers(const EncryptionState& state) {
  const auto above = [&](const std::set<Generation>& numbers) {
    return !numbers.empty() && *numbers.rbegin() > state.highest_used;
  };
  if (state.current > state.highest_used || state.distributing > state.highest_used || above(state.previous) ||
      above(state.retiring)) {
    return "A generation is above the highest number used.";
  }
  if (!disjoint(state.previous, state.retiring)) return "A generation is both previous and retiring.";
  for (const auto number : {state.current, state.distributing}) {
    if (number != 0 && (state.previous.contains(number) || state.retiring.contains(number))) {
      return "Generation " + std::to_string(number) + " is in use and on the way out.";
    }
  }
  if (!state.previous.empty() && *state.previous.rbegin() >= state.current) {
    return "A previous generation is not below the current one.";
  }
  if (state.distributing != 0 && state.distributing != state.highest_used) {
    return "The generation being distributed is not the highest number used.";
  }
  return {};
}

}  // namespace

std::string flaw(const EncryptionState& state) {
  const bool enabled = state.phase == EncryptionPhase::Enabled;
  const bool distributing =
      state.phase == EncryptionPhase::Enabling || state.rotation == RotationPhase::DistributingKEK;
  if (enabled != (state.current != 0)) return "There must be a current generation exactly when encryption is enabled.";
  if (!enabled && state.rotation != RotationPhase::NoRotation) return "Only an enabled cluster can rotate.";
  if (!enabled && !state.previous.empty()) return "Only an enabled cluster has previous generations.";
  if (distributing != (state.distributing != 0)) return "A generation is being distributed in the wrong state.";
  if (!distributing && !state.proved.empty()) return "Members proved a generation that is not being distributed.";
  if (state.rotation != RotationPhase::EncryptingDEKs && !state.rewrapped.empty()) {
    return "Members rewrapped although no DEKs are being encrypted.";
  }
  if (state.rotation == RotationPhase::EncryptingDEKs && state.previous.empty()) {
    return "DEKs are being encrypted although no generation is previous.";
  }
  if ((state.phase != EncryptionPhase::Disabled) != state.protection.has_value()) {
    return "The protection must be chosen exactly when encryption is not disabled.";
  }
  return flaw_of_numbers(state);
}

std::string_view spelling(EncryptionPhase phase) {
  switch (phase) {
    case EncryptionPhase::Disabled:
      return "Disabled";
    case EncryptionPhase::Enabling:
      return "Enabling";
    case EncryptionPhase::Enabled:
      break;
  }
  return "Enabled";
}

std::string_view spelling(RotationPhase phase) {
  switch (phase) {
    case RotationPhase::NoRotation:
      return "NoRotation";
    case RotationPhase::DistributingKEK:
      return "DistributingKEK";
    case RotationPhase::EncryptingDEKs:
      break;
  }
  return "EncryptingDEKs";
}

std::string_view spelling(Protection protection) { return protection == Protection::tpm ? "tpm" : "software"; }

Protection parse_protection(std::string_view text) {
  for (const auto protection : {Protection::tpm, Protection::software}) {
    if (text == spelling(protection)) return protection;
  }
  throw Error(errc::invalid_argument, {"use the protection", volcrypt::quoted(text), "It must be tpm or software."});
}

std::string to_json(const EncryptionState& state) {
  auto object = documents::begin();
  object["state"] = documents::view(spelling(state.phase));
  object["feature_flag"] = state.feature_flag;
  if (state.protection) object["protection"] = documents::view(spelling(*state.protection));
  object["current"] = std::to_string(state.current);
  object["previous"] = render(state.previous);
  object["retiring"] = render(state.retiring);
  object["rotation"] = documents::view(spelling(state.rotation));
  object["distributing"] = std::to_string(state.distributing);
  object["highest_used"] = std::to_string(state.highest_used);
  object["proved"] = render(state.proved);
  object["rewrapped"] = render(state.rewrapped);
  return json::serialize(object);
}

EncryptionState parse_encryption_state(std::string_view text) {
  const auto object = parse_object(text, encryption_document);
  MemberReader members(object, encryption_document);
  documents::check_version(members, encryption_document);
  EncryptionState state;
  state.phase = read_phase(members);
  state.feature_flag = members.flag("feature_flag");
  if (members.has("protection")) state.protection = read_protection(members);
  state.current = members.decimal_string("current");
  state.previous = read_generations(members, "previous");
  state.retiring = read_generations(members, "retiring");
  state.rotation = read_rotation(members);
  state.distributing = members.decimal_string("distributing");
  state.highest_used = members.decimal_string("highest_used");
  state.proved = read_members(members, "proved");
  state.rewrapped = read_members(members, "rewrapped");
  members.finish();
  if (auto wrong = flaw(state); !wrong.empty()) {
    throw Error(encryption_document.refusal, {"read", encryption_document.what, std::move(wrong)});
  }
  return state;
}

std::string to_json(const VolumeRecord& record) {
  auto object = documents::begin();
  object["volume"] = record.volume.str();
  object["group"] = record.group.str();
  object["owner"] = record.owner.str();
  object["name"] = record.name;
  object["generation"] = std::to_string(record.generation);
  object["device_hint"] = record.device_hint;
  object["bytes"] = std::to_string(record.bytes);
  return json::serialize(object);
}

VolumeRecord parse_volume_record(std::string_view text) {
  const auto object = parse_object(text, volume_document);
  MemberReader members(object, volume_document);
  documents::check_version(members, volume_document);
  VolumeRecord record;
  record.volume = members.uuid("volume");
  record.group = members.uuid("group");
  record.owner = members.uuid("owner");
  record.name = members.text("name");
  record.generation = read_generation(members);
  record.device_hint = members.text("device_hint");
  record.bytes = members.decimal_string("bytes");
  members.finish();
  documents::read(members, "name", [&] { return dm::check_volume_name(record.name), true; });
  return record;
}

std::string to_json(const keys::KekRecord& record) {
  auto object = documents::begin();
  object["generation"] = std::to_string(record.generation);
  object["protection"] = documents::view(spelling(record.protection));
  object["name"] = to_base64(record.name);
  object["public_area"] = to_base64(record.public_area);
  object["birth"] = to_base64(record.birth);
  object["trust_epoch"] = std::to_string(record.trust_epoch);
  return json::serialize(object);
}

keys::KekRecord parse_kek_record(std::string_view text) {
  const auto object = parse_object(text, kek_document);
  MemberReader members(object, kek_document);
  documents::check_version(members, kek_document);
  keys::KekRecord record;
  record.generation = read_generation(members);
  record.protection = read_protection(members);
  record.name = members.base64("name");
  record.public_area = members.base64("public_area");
  record.birth = members.base64("birth");
  record.trust_epoch = members.decimal_string("trust_epoch");
  members.finish();
  return record;
}

std::string to_json(const keys::RecoveryBlob& blob) {
  auto object = documents::begin();
  object["generation"] = std::to_string(blob.generation);
  object["protection"] = documents::view(spelling(blob.protection));
  object["name"] = to_base64(blob.name);
  object["duplicate"] = to_base64(blob.duplicate);
  object["public_area"] = to_base64(blob.public_area);
  object["seed"] = to_base64(blob.seed);
  object["inner_key"] = to_base64(blob.inner_key);
  return json::serialize(object);
}

keys::RecoveryBlob parse_recovery_blob(std::string_view text) {
  const auto object = parse_object(text, recovery_document);
  MemberReader members(object, recovery_document);
  documents::check_version(members, recovery_document);
  keys::RecoveryBlob blob;
  blob.generation = read_generation(members);
  blob.protection = read_protection(members);
  blob.name = members.base64("name");
  blob.duplicate = members.base64("duplicate");
  blob.public_area = members.base64("public_area");
  blob.seed = members.base64("seed");
  blob.inner_key = members.base64("inner_key");
  members.finish();
  return blob;
}

}  // namespace volcrypt::cluster
