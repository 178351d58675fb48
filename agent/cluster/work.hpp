// What a member tells of its work, as values: whether it is ready to take part, and how far a rewrap has come. Pure.
// Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace volcrypt::cluster {

struct MemberReadiness {  // for the checks of `enable`
  std::string version;
  std::vector<std::string> failures;  // each a sentence that names cause and way out; empty: ready
};

struct RewrapProgress {
  std::uint64_t total = 0, done = 0, absent = 0;
  std::vector<std::string> failures;  // "volume NAME: cause"; failed volumes keep their old generation
};

}  // namespace volcrypt::cluster
