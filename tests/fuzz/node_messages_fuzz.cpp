// Fuzz target: any bytes as what another node sends about keys: a KEK on its way, a question to who wants to join, and
// the attestation in an answer, which is believed only when it names this storage key and this question.
#include <algorithm>

#include "agent/keys/join_proof.hpp"
#include "agent/keys/messages.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "tests/fuzz/text_target.hpp"

using namespace volcrypt;

namespace {

// The attestations of the corpus are about this key, for this question.
const Bytes storage_key = {0, 35, 0, 11};
const Digest nonce{7, 7, 7};

template <class Read>
void try_as(std::string_view text, Read read) {
  fuzz::round_trip(text, {errc::token_malformed, errc::token_version}, read,
                   [](const auto& message) { return to_json(message); });
}

bool contains(ByteView whole, ByteView part) {
  return std::search(whole.begin(), whole.end(), part.begin(), part.end()) != whole.end();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  try_as(text, keys::parse_kek_transfer);
  try_as(text, keys::parse_join_challenge);
  try_as(text, keys::parse_join_answer);
  const ByteView statement(data, size);
  try {
    keys::require_certified(statement, storage_key, nonce);
    fuzz::demand(contains(statement, nonce) && contains(statement, keys::tpm_name(storage_key)),
                 "what is believed names the question and the key");
  } catch (const Error& error) {
    fuzz::demand(error.code() == errc::bad_signature, error.what());
  }
  return 0;
}
