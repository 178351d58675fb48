// See changes.hpp.
#include "agent/cluster/changes.hpp"

namespace volcrypt::cluster {

namespace {

void add_phase(std::vector<Change>& told, const EncryptionState& before, const EncryptionState& after) {
  if (before.phase == after.phase) return;
  switch (after.phase) {
    case EncryptionPhase::Enabling:
      told.push_back({"cluster encryption is being enabled", after.distributing});
      break;
    case EncryptionPhase::Enabled:
      told.push_back({"cluster encryption is enabled", after.current});
      break;
    case EncryptionPhase::Disabled:
      told.push_back({"enabling was taken back; the number is not used again", before.distributing});
      break;
  }
}

void add_rotation(std::vector<Change>& told, const EncryptionState& before, const EncryptionState& after) {
  if (before.rotation == after.rotation) return;
  switch (after.rotation) {
    case RotationPhase::DistributingKEK:
      told.push_back({"a rotation began: the new KEK is being made and proved", after.distributing});
      break;
    case RotationPhase::EncryptingDEKs:
      told.push_back({"the new KEK is current: volumes are being rewrapped", after.current});
      break;
    case RotationPhase::NoRotation:
      if (before.rotation == RotationPhase::DistributingKEK)
        told.push_back({"the rotation was aborted; the number is not used again", before.distributing});
      else
        told.push_back({"the rotation is complete", after.current});
      break;
  }
}

}  // namespace

std::vector<Change> changes(const EncryptionState& before, const EncryptionState& after) {
  std::vector<Change> told;
  if (after.feature_flag && !before.feature_flag) told.push_back({"the feature flag cluster-encryption is on"});
  add_phase(told, before, after);
  add_rotation(told, before, after);
  for (const Generation generation : before.retiring)
    if (!after.retiring.contains(generation)) told.push_back({"an old KEK was destroyed everywhere", generation});
  return told;
}

}  // namespace volcrypt::cluster
