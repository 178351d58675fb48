// What World looks at after each step: the promises of the design that the cluster's logic has to keep.
#include <algorithm>

#include "agent/cluster/keys_of_store.hpp"
#include "tests/cluster/world.hpp"

namespace volcrypt::test {

using namespace cluster;

namespace {

// Disabled 0, Enabling 3, Enabled 6, with the rotation's phase added.
int rank(const EncryptionState& state) { return static_cast<int>(state.phase) * 3 + static_cast<int>(state.rotation); }

// The drawn arrows, and those with which a distribution or an enabling is taken back.
bool is_drawn(const EncryptionState& before, const EncryptionState& after) {
  static const std::set<std::pair<int, int>> arrows = {{0, 3}, {3, 6}, {6, 7}, {7, 8}, {8, 6}, {3, 0}, {7, 6}};
  return rank(before) == rank(after) || arrows.contains({rank(before), rank(after)});
}

std::string numbers(const std::set<Generation>& generations) {
  std::string text;
  for (const auto generation : generations) text += " " + std::to_string(generation);
  return text;
}

}  // namespace

EncryptionState World::state() const {
  const auto entry = store.entries.find(std::string(store_key::encryption));
  return entry == store.entries.end() ? EncryptionState{} : parse_encryption_state(entry->second.value);
}

std::set<Uuid> World::members() const {
  const auto entry = store.entries.find(std::string(store_key::membership));
  if (entry == store.entries.end()) return {};
  if (members_.first != entry->second.modified) {
    members_ = {entry->second.modified, {}};
    for (const auto& member : parse_membership(parse_signed_membership(entry->second.value).document).members)
      members_.second.insert(member.node);
  }
  return members_.second;
}

void World::broken(const std::string& promise) const {
  std::string text = "broken: " + promise + "\nin " + to_json(state()) + "\n";
  for (const auto& node : nodes) {
    text += node->disk.name + (is_member(node->number) ? " is a member" : " is none") + ", holds" +
            numbers(node->disk.held) + ", proved" + numbers(node->disk.proved) + ", destroyed" +
            numbers(node->disk.destroyed);
    for (const auto& [name, volume] : node->disk.volumes)
      text += ", " + name + " at " + std::to_string(volume.generation);
    text += "\n";
  }
  constexpr std::size_t last = 60;
  const std::size_t from = story_.size() > last ? story_.size() - last : 0;
  for (std::size_t i = from; i < story_.size(); ++i) text += story_[i] + "\n";
  throw BrokenPromise(text);
}

// What check() looks at, in short: it looks again when this has changed.
std::string World::fingerprint() const {
  std::string text;
  for (const auto& node : nodes) {
    const auto& disk = node->disk;
    text += std::to_string(disk.held.size()) + "," + std::to_string(disk.proved.size()) + "," +
            std::to_string(disk.destroyed.size());
    for (const auto& [name, volume] : disk.volumes) text += "," + std::to_string(volume.generation);
    text += ";";
  }
  return text;
}

void World::check() {
  if (number_repeated_) broken("a generation number is given to one KEK");
  const auto entry = store.entries.find(std::string(store_key::encryption));
  const Revision revision = entry == store.entries.end() ? 0 : entry->second.modified;
  auto disks = fingerprint();
  if (revision == seen_revision_ && disks == seen_disks_) return;
  const auto now = state();
  if (revision != seen_revision_) check_new_state(last_, now);
  check_volumes(now);
  seen_revision_ = revision;
  seen_disks_ = std::move(disks);
  last_ = now;
}

void World::check_new_state(const EncryptionState& before, const EncryptionState& now) {
  if (const auto wrong = flaw(now); !wrong.empty()) broken("the stored state is whole: " + wrong);
  if (!is_drawn(before, now)) broken("the state moves along the drawn arrows");
  if (now.highest_used < before.highest_used || (now.current < before.current && now.phase == EncryptionPhase::Enabled))
    broken("generations never go back");
  if (before.current != now.current || before.distributing != now.distributing)
    tell("current " + std::to_string(now.current) + ", distributing " + std::to_string(now.distributing));
  if (now.current == 0 || before.current == now.current) return;
  const auto ids = members();
  for (const auto& node : nodes) {
    const bool has_it = node->disk.held.contains(now.current), proved = node->disk.proved.contains(now.current);
    if (ids.contains(node->disk.id) && !(has_it && proved))
      broken("a generation becomes current when every member holds it and has proved it");
    if (!ids.contains(node->disk.id) && has_it) broken("only members hold a generation that becomes current");
  }
}

void World::check_volumes(const EncryptionState& now) const {
  const auto ids = members();
  auto in_use = now.previous;
  if (now.current != 0) in_use.insert(now.current);
  for (const auto generation : in_use) {
    if (!store.entries.contains(store_key::recovery(generation))) broken("the recovery key opens what is in use");
    if (!store.entries.contains(store_key::generation(generation))) broken("what is in use is on record");
    for (const auto& node : nodes)
      if (ids.contains(node->disk.id) && node->disk.destroyed.contains(generation))
        broken("no member destroys a generation that is in use");
  }
  for (const auto& node : nodes) {
    for (const auto& [name, volume] : node->disk.volumes) {
      if (!node->disk.opens(volume)) broken("volume " + name + " opens at its node, by what is on its disk");
      if (!store.entries.contains(store_key::recovery(volume.generation)))
        broken("volume " + name + " opens with the recovery key");
      if (ids.contains(node->disk.id) && !in_use.contains(volume.generation))
        broken("volume " + name + " is at a generation that the cluster keeps");
    }
  }
}

bool World::is_at_rest() const {
  const auto now = state();
  return now.rotation == RotationPhase::NoRotation && now.phase != EncryptionPhase::Enabling && now.distributing == 0 &&
         now.retiring.empty();
}

void World::expect_peace() const {
  const auto now = state();
  if (!is_at_rest()) broken("when everything is mended the cluster comes to rest");
  auto kept = now.previous;
  if (now.current != 0) kept.insert(now.current);
  const auto ids = members();
  for (const auto& node : nodes) {
    if (!ids.contains(node->disk.id)) continue;
    if (node->disk.held != kept) broken("at rest each member holds what is current or previous, and nothing else");
    for (const auto& [name, volume] : node->disk.volumes)
      if (volume.generation != now.current) broken("at rest volume " + name + " is at the current generation");
  }
}

}  // namespace volcrypt::test
