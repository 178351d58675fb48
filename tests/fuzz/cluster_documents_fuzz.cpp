// Fuzz target: any bytes as each of the documents in the cluster's store. A state that was read has no flaw.
#include "agent/cluster/recovery_note.hpp"
#include "agent/cluster/state.hpp"
#include "tests/fuzz/text_target.hpp"

using namespace volcrypt;

namespace {

template <class Read>
void try_as(std::string_view text, Read read) {
  fuzz::round_trip(text, {errc::store_damaged, errc::token_version}, read,
                   [](const auto& document) { return cluster::to_json(document); });
}

cluster::EncryptionState read_state(std::string_view text) {
  cluster::EncryptionState state = cluster::parse_encryption_state(text);
  fuzz::demand(cluster::flaw(state).empty(), "a state that was read contradicts nothing");
  return state;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  try_as(text, read_state);
  try_as(text, cluster::parse_volume_record);
  try_as(text, cluster::parse_kek_record);
  try_as(text, cluster::parse_recovery_blob);
  try_as(text, cluster::parse_recovery_note);
  return 0;
}
