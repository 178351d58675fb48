// Intent: a drive is about to be formatted or erased, as a record in the store; who carries it out and settles it is
// agent/volumes. Pure. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "agent/cluster/state.hpp"

namespace volcrypt::cluster {

enum class Intention { create, erase };

struct Intent {  // one per volume name; store_key::intents
  Intention verb = Intention::create;
  VolumeRecord record;
  std::string drive{};  // of an erase: DriveFacts::identity of the drive on which it began; may be empty
};

std::string to_json(const Intent& intent);
Intent parse_intent(std::string_view json);  // errc::store_damaged, errc::token_version

}  // namespace volcrypt::cluster
