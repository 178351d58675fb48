// What members say to each other about their work: readiness, rewrapping, census, retirement, and who holds a volume.
// As messages.hpp: strict, one spelling, nothing secret. Sentences are for people; a reader makes them printable and
// short, whoever wrote them. Pure; any thread.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cluster/state.hpp"
#include "agent/cluster/work.hpp"
#include "agent/volumes/holding.hpp"

namespace volcrypt::peer {

using cluster::Generation;

inline constexpr std::size_t most_sentences = 64, longest_sentence = 600;  // of a message; what is beyond is left out

struct ReadinessRequest {  // POST /v1/readiness
  keys::Protection protection = keys::Protection::tpm;
};
struct Sentences {  // GET /v1/keys/warnings
  std::vector<std::string> sentences;
};
struct WorkRequest {  // POST /v1/rewraps: to this generation; POST /v1/retirements: of this one
  Generation generation = 0;
};
struct RewrapAnswer {  // of POST and GET /v1/rewraps
  bool finished = false;
  cluster::RewrapProgress progress;
};
struct Census {  // GET /v1/census
  std::set<Generation> needed;
};
struct VolumeQuestion {  // POST /v1/volumes/held: do you hold this one?
  Uuid volume;
};
struct VolumeAnswer {
  volumes::Holding holding = volumes::Holding::mapped;
};

std::string to_json(const ReadinessRequest& request);
ReadinessRequest parse_readiness_request(std::string_view json);
std::string to_json(const cluster::MemberReadiness& readiness);
cluster::MemberReadiness parse_readiness(std::string_view json);
std::string to_json(const Sentences& sentences);
Sentences parse_sentences(std::string_view json);
std::string to_json(const WorkRequest& request);
WorkRequest parse_work_request(std::string_view json);
std::string to_json(const RewrapAnswer& answer);
RewrapAnswer parse_rewrap_answer(std::string_view json);
std::string to_json(const Census& census);
Census parse_census(std::string_view json);
std::string to_json(const VolumeQuestion& question);
VolumeQuestion parse_volume_question(std::string_view json);
std::string to_json(const VolumeAnswer& answer);
VolumeAnswer parse_volume_answer(std::string_view json);

// Another node's words for a terminal or a journal: printable ASCII, at most longest_sentence characters.
std::string printable(std::string text);

}  // namespace volcrypt::peer
