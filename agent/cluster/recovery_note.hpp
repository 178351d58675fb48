// RecoveryNote: what the store keeps of the last time the recovery key was verified. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dmtarget/bytes.hpp"

namespace volcrypt::cluster {

struct RecoveryNote {
  std::string at;            // RFC 3339
  std::vector<Bytes> names;  // the KEKs whose blobs were opened
};

std::string to_json(const RecoveryNote& note);
RecoveryNote parse_recovery_note(std::string_view json);  // strict; errc::store_damaged, errc::token_version

}  // namespace volcrypt::cluster
