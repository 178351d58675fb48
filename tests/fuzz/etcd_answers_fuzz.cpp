// Fuzz target: any bytes as each of etcd's answers, and as the spelling of an etcd. Nothing is written again here: what
// an answer becomes is a value of ours.
#include "agent/cluster/etcd_address.hpp"
#include "agent/cluster/etcd_messages.hpp"
#include "tests/fuzz/text_target.hpp"

using namespace volcrypt;

namespace {

template <class Read>
void try_as(std::string_view text, errc refusal, Read read) {
  try {
    read(text);
  } catch (const Error& error) {
    fuzz::demand(error.code() == refusal, error.what());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace etcd = cluster::etcd;
  const std::string_view text = fuzz::text_of(data, size);
  try_as(text, errc::store_damaged, [](std::string_view answer) {
    for (const etcd::Found& found : etcd::parse_range(answer, "/v/").found)
      fuzz::demand(found.entry.modified != 0, "what was found has a revision");
  });
  try_as(text, errc::store_damaged, etcd::parse_txn);
  try_as(text, errc::store_damaged, etcd::parse_watch);
  try_as(text, errc::store_damaged, etcd::parse_grant);
  try_as(text, errc::store_damaged, etcd::parse_keepalive);
  fuzz::demand(etcd::parse_refusal(text).text.size() <= 200, "a refusal is short");
  fuzz::round_trip(text, {errc::invalid_argument}, cluster::parse_etcd_servers,
                   [](const auto& servers) { return cluster::to_text(servers); });
  return 0;
}
