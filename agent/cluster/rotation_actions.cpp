// What RotationDriver does for each action that the machine asks for, and how it tells one that fails. When, how often
// and under whose lease is in rotation_driver.cpp.
#include "agent/cluster/keys_of_store.hpp"
#include "agent/cluster/rotation_driver.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::cluster {

asio::awaitable<void> RotationDriver::act(action::CreateKek create) {
  // Pinned before the number can appear on any drive: a store rolled back to before it cannot give it out again.
  co_await pin_.see_generation(create.generation);
  auto& creator = member(members_.front()->id());
  const auto kek = co_await creator.create_kek(create.generation);
  if (!co_await store().get(store_key::recovery(create.generation))) {
    throw Error(errc::wrong_state, {"use", "KEK generation " + std::to_string(create.generation),
                                    "Its blob for the recovery key is not in the store."});
  }
  Writes also;
  also.emplace_back(Put{store_key::generation(create.generation), to_json(kek)});
  co_await record(event::Created{create.generation}, std::move(also));
}

asio::awaitable<void> RotationDriver::act(action::ProveKek prove) {
  const auto entry = co_await store().get(store_key::generation(prove.generation));
  if (!entry) {
    throw Error(errc::store_damaged, {"read", "the record of KEK generation " + std::to_string(prove.generation),
                                      "It is missing: restore the store from a backup."});
  }
  co_await member(prove.member).prove_kek(parse_kek_record(entry->value));
  co_await record(event::Proved{prove.member, prove.generation}, {});
}

asio::awaitable<void> RotationDriver::act(action::RewrapVolumes rewrap) {
  const auto progress = co_await member(rewrap.member).rewrap_volumes(rewrap.to);
  if (!progress.failures.empty()) {
    throw Error(errc::wrong_state,
                {"rewrap", std::to_string(progress.failures.size()) + " volumes", progress.failures.front() + "."});
  }
  co_await record(event::Rewrapped{rewrap.member, rewrap.to}, {});
}

asio::awaitable<void> RotationDriver::act(action::TakeCensus) {
  event::CensusTaken census;
  for (const auto& id : ids()) census.needed[id] = co_await member(id).census();
  const auto needed = census.needed;
  const auto state = co_await record(std::move(census), {});
  for (const auto& [id, generations] : needed) {
    for (const auto number : generations) {
      if (number == state.current || state.previous.contains(number)) continue;
      last_failure_ = "a volume of member " + member(id).name() + " refers to KEK generation " +
                      std::to_string(number) + ", which the cluster does not have (any more)";
    }
  }
}

asio::awaitable<void> RotationDriver::act(action::RetireKek retire) {
  if (under_way_.contains(action::CreateKek{retire.generation})) {  // aborted meanwhile: what it still makes would stay
    throw Error(errc::wrong_state, {"destroy", "KEK generation " + std::to_string(retire.generation),
                                    "It is still being made; tried again."});
  }
  event::Retired retired{retire.generation, {}};
  for (const auto& id : ids()) {
    co_await member(id).retire_kek(retire.generation);
    retired.members.insert(id);
  }
  Writes also;
  also.emplace_back(Delete{store_key::generation(retire.generation)});
  also.emplace_back(Delete{store_key::recovery(retire.generation)});
  co_await record(std::move(retired), std::move(also));
}

std::string RotationDriver::sentence(const Action& action) {
  const auto name = [this](const Uuid& id) {
    for (const auto* member : members_) {
      if (member->id() == id) return member->name();
    }
    return id.str();
  };
  if (const auto* create = std::get_if<action::CreateKek>(&action)) {
    return "KEK generation " + std::to_string(create->generation) + " is not made";
  }
  if (const auto* prove = std::get_if<action::ProveKek>(&action)) {
    return "member " + name(prove->member) + " has not proved KEK generation " + std::to_string(prove->generation);
  }
  if (const auto* rewrap = std::get_if<action::RewrapVolumes>(&action)) {
    return "member " + name(rewrap->member) + " has not rewrapped all its volumes";
  }
  if (const auto* retire = std::get_if<action::RetireKek>(&action)) {
    return "KEK generation " + std::to_string(retire->generation) + " is not destroyed everywhere";
  }
  return "the census of volumes is not complete";
}

}  // namespace volcrypt::cluster
