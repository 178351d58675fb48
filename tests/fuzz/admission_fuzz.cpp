// Fuzz target: any bytes as each of the documents by which a node becomes a member: a token's file, the request that it
// lets through, the authority's question, and what the store keeps of all of them.
#include "agent/cluster/admission.hpp"
#include "tests/fuzz/text_target.hpp"

using namespace volcrypt;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const auto write = [](const auto& document) { return cluster::to_json(document); };
  fuzz::round_trip(text, {errc::token_malformed, errc::token_version}, cluster::parse_join_request, write);
  fuzz::round_trip(text, {errc::token_malformed, errc::token_version}, cluster::parse_admission_question, write);
  fuzz::round_trip(text, {errc::store_damaged, errc::token_version}, cluster::parse_token_record, write);
  fuzz::round_trip(text, {errc::store_damaged, errc::token_version}, cluster::parse_pending_node, write);
  const auto read_token = [](std::string_view file) {
    return cluster::parse_join_token({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()});
  };
  const auto write_token = [](const cluster::JoinToken& token) {
    const Secret file = cluster::to_text(token);
    return std::string(file.view().begin(), file.view().end());
  };
  fuzz::round_trip(text, {errc::token_malformed, errc::token_version}, read_token, write_token);
  return 0;
}
