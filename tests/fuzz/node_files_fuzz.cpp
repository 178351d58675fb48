// Fuzz target: any bytes as each of the documents in a key store's directory: a stored KEK, the approvals, the binding,
// and the record of this node's TPM keys.
#include "agent/keys/documents.hpp"
#include "agent/keys/tpm/node_document.hpp"
#include "tests/fuzz/text_target.hpp"

using namespace volcrypt;

namespace {

template <class Read>
void try_as(std::string_view text, Read read) {
  fuzz::round_trip(text, {errc::store_damaged, errc::token_version}, read,
                   [](const auto& document) { return to_json(document); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  try_as(text, keys::parse_stored_kek);
  try_as(text, keys::parse_approvals);
  try_as(text, keys::parse_binding);
  try_as(text, keys::tpm::parse_node_document);
  return 0;
}
