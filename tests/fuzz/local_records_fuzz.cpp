// Fuzz target: any bytes as what a node keeps beside the store: node.json, pin.json and store.json.
#include "agent/cluster/pinned_state.hpp"
#include "agent/cluster/store_record.hpp"
#include "agent/node_record.hpp"
#include "tests/fuzz/text_target.hpp"

using namespace volcrypt;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const auto write = [](const auto& document) { return to_json(document); };
  fuzz::round_trip(text, {errc::store_damaged, errc::token_version}, parse_node_record, write);
  fuzz::round_trip(text, {errc::store_damaged, errc::token_version}, cluster::parse_pinned_state, write);
  fuzz::round_trip(text, {errc::store_damaged, errc::token_version}, cluster::parse_store_record, write);
  return 0;
}
