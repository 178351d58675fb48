// The arrows of the rotation machine, one function for each event, see rotation.hpp.
#include "agent/cluster/rotation.hpp"

#include <algorithm>

#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

namespace {

using Result = boost::system::result<Step>;
using Members = std::set<Uuid>;

Result unchanged(EncryptionState state) { return Step{std::move(state), {}}; }
Result refused() { return make_error_code(errc::wrong_state); }

bool contains_all(const Members& found, const Members& members) {
  return std::includes(found.begin(), found.end(), members.begin(), members.end());
}

bool is_quiet(const EncryptionState& state) {
  return state.rotation == RotationPhase::NoRotation && state.distributing == 0;
}

// Numbers only grow, and each is taken once.
std::vector<Action> take_number(EncryptionState& state) {
  state.distributing = ++state.highest_used;
  state.proved.clear();
  return {action::CreateKek{state.distributing}};
}

// A burnt number was never current, so no volume can need it; members may hold it.
void burn_number(EncryptionState& state) {
  state.retiring.insert(state.distributing);
  state.distributing = 0;
  state.proved.clear();
}

std::vector<Action> census_if_useful(const EncryptionState& state) {
  if (state.previous.empty() && state.retiring.empty()) return {};
  return {action::TakeCensus{}};
}

std::vector<Action> rewraps(const EncryptionState& state, const Members& members) {
  std::vector<Action> actions;
  for (const auto& member : members) {
    if (!state.rewrapped.contains(member)) actions.push_back(action::RewrapVolumes{member, state.current});
  }
  if (actions.empty()) actions.push_back(action::TakeCensus{});
  return actions;
}

// Every member proved: the new generation counts, and the old one stays as long as a volume needs it.
std::vector<Action> make_current(EncryptionState& state, const Members& members) {
  const auto old = std::exchange(state.current, std::exchange(state.distributing, 0));
  state.proved.clear();
  if (state.phase == EncryptionPhase::Enabling) {  // there is no volume yet
    state.phase = EncryptionPhase::Enabled;
    return census_if_useful(state);
  }
  state.previous.insert(old);
  state.rotation = RotationPhase::EncryptingDEKs;
  return rewraps(state, members);
}

struct Arrows {
  EncryptionState state;
  const Members& members;

  Result operator()(const event::FlagSet&) {
    state.feature_flag = true;
    return unchanged(std::move(state));
  }

  Result operator()(const event::Enable& wish) {
    if (state.phase != EncryptionPhase::Disabled || !state.feature_flag) return refused();
    state.phase = EncryptionPhase::Enabling;
    state.protection = wish.protection;
    auto actions = take_number(state);
    return Step{std::move(state), std::move(actions)};
  }

  Result operator()(const event::Rotate&) {
    if (state.phase != EncryptionPhase::Enabled || state.rotation != RotationPhase::NoRotation) return refused();
    state.rotation = RotationPhase::DistributingKEK;
    auto actions = take_number(state);
    return Step{std::move(state), std::move(actions)};
  }

  // The KEK under distribution may exist in the lost coordinator alone, or half: its number is burnt.
  Result operator()(const event::CoordinatorStarted&) {
    std::vector<Action> actions;
    if (state.distributing != 0) {
      burn_number(state);
      actions = take_number(state);
    } else if (state.rotation == RotationPhase::EncryptingDEKs) {
      actions = rewraps(state, members);
    } else {
      actions = census_if_useful(state);
    }
    return Step{std::move(state), std::move(actions)};
  }

  Result operator()(const event::MembersChanged&) {
    std::vector<Action> actions;
    if (state.distributing != 0)
      actions = prove_or_make_current();
    else if (state.rotation == RotationPhase::EncryptingDEKs)
      actions = rewraps(state, members);
    else
      actions = census_if_useful(state);
    return Step{std::move(state), std::move(actions)};
  }

  Result operator()(const event::Created& answer) {
    if (state.distributing == 0 || answer.generation != state.distributing) return unchanged(std::move(state));
    auto actions = prove_or_make_current();
    return Step{std::move(state), std::move(actions)};
  }

  std::vector<Action> prove_or_make_current() {
    if (contains_all(state.proved, members)) return make_current(state, members);
    std::vector<Action> actions;
    for (const auto& member : members) {
      if (!state.proved.contains(member)) actions.push_back(action::ProveKek{member, state.distributing});
    }
    return actions;
  }

  Result operator()(const event::Proved& answer) {
    const bool counts =
        state.distributing != 0 && answer.generation == state.distributing && members.contains(answer.member);
    if (!counts) return unchanged(std::move(state));
    state.proved.insert(answer.member);
    std::vector<Action> actions;
    if (contains_all(state.proved, members)) actions = make_current(state, members);
    return Step{std::move(state), std::move(actions)};
  }

  Result operator()(const event::Rewrapped& answer) {
    const bool counts = state.rotation == RotationPhase::EncryptingDEKs && answer.to == state.current &&
                        members.contains(answer.member) && state.rewrapped.insert(answer.member).second;
    if (!counts) return unchanged(std::move(state));
    std::vector<Action> actions;
    if (contains_all(state.rewrapped, members)) actions.push_back(action::TakeCensus{});
    return Step{std::move(state), std::move(actions)};
  }

  Result operator()(const event::CensusTaken& census) {
    const bool all_rewrapped =
        state.rotation == RotationPhase::EncryptingDEKs && contains_all(state.rewrapped, members);
    if (!all_rewrapped && !is_quiet(state)) return unchanged(std::move(state));
    // It counts over all or not at all, and also what one needed that was removed since.
    if (!std::ranges::all_of(members, [&](const Uuid& member) { return census.needed.contains(member); }))
      return unchanged(std::move(state));
    std::set<Generation> needed;
    for (const auto& [member, generations] : census.needed) needed.insert(generations.begin(), generations.end());
    state.rotation = RotationPhase::NoRotation;
    state.rewrapped.clear();
    sort_out(needed);
    std::vector<Action> actions;
    for (const auto number : state.retiring) actions.push_back(action::RetireKek{number});
    return Step{std::move(state), std::move(actions)};
  }

  // Also takes a retiring generation back when a volume turned up that needs it (an old header was restored): it was
  // perhaps not destroyed yet, and a volume must never depend on a generation that is being destroyed.
  void sort_out(const std::set<Generation>& needed) {
    std::set<Generation> previous, retiring;
    for (const auto* numbers : {&state.previous, &state.retiring}) {
      for (const auto number : *numbers) {
        const bool keep = needed.contains(number) && number < state.current;
        (keep ? previous : retiring).insert(number);
      }
    }
    state.previous = std::move(previous);
    state.retiring = std::move(retiring);
  }

  Result operator()(const event::Retired& answer) {
    if (contains_all(answer.members, members)) state.retiring.erase(answer.generation);
    return unchanged(std::move(state));
  }

  Result operator()(const event::Abort& wish) {
    if (wish.generation != 0 && wish.generation != state.distributing) return unchanged(std::move(state));
    if (state.distributing == 0) return refused();
    burn_number(state);
    state.rotation = RotationPhase::NoRotation;
    if (state.phase == EncryptionPhase::Enabling) {
      state.phase = EncryptionPhase::Disabled;
      state.protection.reset();
    }
    auto actions = census_if_useful(state);
    return Step{std::move(state), std::move(actions)};
  }
};

struct StillDue {
  const EncryptionState& state;
  const Members& members;

  bool operator()(const action::CreateKek& create) const { return state.distributing == create.generation; }
  bool operator()(const action::ProveKek& prove) const {
    return members.contains(prove.member) && state.distributing == prove.generation &&
           !state.proved.contains(prove.member);
  }
  bool operator()(const action::RewrapVolumes& rewrap) const {
    return members.contains(rewrap.member) && state.rotation == RotationPhase::EncryptingDEKs &&
           state.current == rewrap.to && !state.rewrapped.contains(rewrap.member);
  }
  bool operator()(const action::TakeCensus&) const {
    if (state.rotation == RotationPhase::EncryptingDEKs) return contains_all(state.rewrapped, members);
    return is_quiet(state) && !census_if_useful(state).empty();
  }
  bool operator()(const action::RetireKek& retire) const { return state.retiring.contains(retire.generation); }
};

}  // namespace

bool still_due(const EncryptionState& state, const Members& members, const Action& action) {
  return std::visit(StillDue{state, members}, action);
}

Result advance(EncryptionState state, const Members& members, const Event& event) {
  if (members.empty()) return make_error_code(errc::invalid_argument);
  Arrows arrows{std::move(state), members};
  return std::visit(arrows, event);
}

}  // namespace volcrypt::cluster
