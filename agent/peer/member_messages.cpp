// See member_messages.hpp.
#include "agent/peer/member_messages.hpp"

#include <array>
#include <boost/json/serialize.hpp>
#include <utility>

#include "agent/cluster/documents.hpp"
#include "agent/peer/message_form.hpp"

namespace volcrypt::peer {
namespace {

namespace json = boost::json;
using cluster::MemberReadiness;
using cluster::RewrapProgress;

constexpr std::size_t message_limit = 64 * 1024;
constexpr std::size_t most_generations = 4096, longest_version = 64;

JsonDocument document(const char* what) { return {what, message_limit, 4, errc::token_malformed}; }
const JsonDocument readiness_request_document = document("the question whether a member is ready"),
                   readiness_document = document("a member's readiness"),
                   sentences_document = document("a member's warnings"),
                   work_document = document("what a member is to do with a KEK generation"),
                   rewrap_document = document("how far a member has rewrapped"),
                   census_document = document("a member's census"),
                   question_document = document("the question who holds a volume"),
                   answer_document = document("the answer who holds a volume");
constexpr std::array<std::pair<volumes::Holding, std::string_view>, 3> holdings{
    {{volumes::Holding::gone, "gone"}, {volumes::Holding::visible, "visible"}, {volumes::Holding::mapped, "mapped"}}};

json::array sentences_of(const std::vector<std::string>& sentences) {
  json::array array;
  for (const std::string& sentence : sentences) {
    if (array.size() == most_sentences) break;
    array.emplace_back(printable(sentence));
  }
  return array;
}

std::vector<std::string> read_sentences(MemberReader& members, std::string_view name) {
  std::vector<std::string> sentences;
  for (const std::string_view text : cluster::documents::texts(members, name)) {
    if (sentences.size() == most_sentences) members.refuse(name, "It has more than 64 sentences.");
    if (text.size() > longest_sentence) members.refuse(name, "One of them has more than 600 characters.");
    sentences.push_back(printable(std::string(text)));
  }
  return sentences;
}

}  // namespace

std::string printable(std::string text) {
  if (text.size() > longest_sentence) text.resize(longest_sentence);
  for (char& c : text)
    if (c < ' ' || c > '~') c = '?';
  return text;
}

std::string to_json(const ReadinessRequest& request) {
  json::object object = keys::begin_document("volcrypt readiness request");
  object["protection"] = keys::spelling(request.protection);
  return json::serialize(object);
}

ReadinessRequest parse_readiness_request(std::string_view text) {
  return parse_message<ReadinessRequest>(text, readiness_request_document, "volcrypt readiness request",
                                         [](MemberReader& members, ReadinessRequest& request) {
                                           request.protection = keys::read_protection(members, "protection");
                                         });
}

std::string to_json(const MemberReadiness& readiness) {
  json::object object = keys::begin_document("volcrypt readiness");
  object["software"] = readiness.version;
  object["failures"] = sentences_of(readiness.failures);
  return json::serialize(object);
}

MemberReadiness parse_readiness(std::string_view text) {
  const auto read = [](MemberReader& members, MemberReadiness& readiness) {
    readiness.version = printable(std::string(members.text("software")));
    if (readiness.version.size() > longest_version) members.refuse("software", "It has more than 64 characters.");
    readiness.failures = read_sentences(members, "failures");
  };
  return parse_message<MemberReadiness>(text, readiness_document, "volcrypt readiness", read);
}

std::string to_json(const Sentences& sentences) {
  json::object object = keys::begin_document("volcrypt warnings");
  object["sentences"] = sentences_of(sentences.sentences);
  return json::serialize(object);
}

Sentences parse_sentences(std::string_view text) {
  return parse_message<Sentences>(
      text, sentences_document, "volcrypt warnings",
      [](MemberReader& members, Sentences& value) { value.sentences = read_sentences(members, "sentences"); });
}

std::string to_json(const WorkRequest& request) {
  json::object object = keys::begin_document("volcrypt kek work");
  object["generation"] = std::to_string(request.generation);
  return json::serialize(object);
}

WorkRequest parse_work_request(std::string_view text) {
  return parse_message<WorkRequest>(text, work_document, "volcrypt kek work",
                                    [](MemberReader& members, WorkRequest& request) {
                                      request.generation = members.decimal_string("generation");
                                      if (request.generation == 0)
                                        members.refuse("generation", "Generations are counted from 1.");
                                    });
}

std::string to_json(const RewrapAnswer& answer) {
  json::object object = keys::begin_document("volcrypt rewrap");
  object["finished"] = answer.finished;
  object["total"] = std::to_string(answer.progress.total);
  object["done"] = std::to_string(answer.progress.done);
  object["absent"] = std::to_string(answer.progress.absent);
  object["failures"] = sentences_of(answer.progress.failures);
  return json::serialize(object);
}

RewrapAnswer parse_rewrap_answer(std::string_view text) {
  const auto read = [](MemberReader& members, RewrapAnswer& answer) {
    answer.finished = members.flag("finished");
    answer.progress.total = members.decimal_string("total");
    answer.progress.done = members.decimal_string("done");
    answer.progress.absent = members.decimal_string("absent");
    answer.progress.failures = read_sentences(members, "failures");
  };
  return parse_message<RewrapAnswer>(text, rewrap_document, "volcrypt rewrap", read);
}

std::string to_json(const Census& census) {
  json::object object = keys::begin_document("volcrypt census");
  json::array needed;
  for (const Generation generation : census.needed) needed.emplace_back(std::to_string(generation));
  object["needed"] = std::move(needed);
  return json::serialize(object);
}

// A census that is read as smaller than it is would cost a volume: everything that is not exactly a number is refused.
Census parse_census(std::string_view text) {
  const auto read = [](MemberReader& members, Census& census) {
    for (const std::string_view digits : cluster::documents::texts(members, "needed")) {
      const auto generation = cluster::documents::decimal(digits);
      if (!generation || *generation == 0) members.refuse("needed", "It must hold numbers of generations only.");
      if (!census.needed.insert(*generation).second) members.refuse("needed", "It has a number twice.");
      if (census.needed.size() > most_generations) members.refuse("needed", "It has more than 4096 numbers.");
    }
  };
  return parse_message<Census>(text, census_document, "volcrypt census", read);
}

std::string to_json(const VolumeQuestion& question) {
  json::object object = keys::begin_document("volcrypt volume question");
  object["volume"] = question.volume.str();
  return json::serialize(object);
}

VolumeQuestion parse_volume_question(std::string_view text) {
  return parse_message<VolumeQuestion>(
      text, question_document, "volcrypt volume question",
      [](MemberReader& members, VolumeQuestion& question) { question.volume = members.uuid("volume"); });
}

std::string to_json(const VolumeAnswer& answer) {
  json::object object = keys::begin_document("volcrypt volume answer");
  for (const auto& [holding, word] : holdings)
    if (holding == answer.holding) object["holding"] = word;
  return json::serialize(object);
}

// A word that is not known, a later release's perhaps, is never taken for "gone".
VolumeAnswer parse_volume_answer(std::string_view text) {
  const auto read = [](MemberReader& members, VolumeAnswer& answer) {
    const std::string_view given = members.text("holding");
    for (const auto& [holding, word] : holdings) {
      if (given != word) continue;
      answer.holding = holding;
      return;
    }
    members.refuse("holding", "It is one of \"gone\", \"visible\" and \"mapped\".");
  };
  return parse_message<VolumeAnswer>(text, answer_document, "volcrypt volume answer", read);
}

}  // namespace volcrypt::peer
