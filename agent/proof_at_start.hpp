// ProofAtStart: proves, when the agent starts, the KEK generations that volumes may need (current and previous): each
// once, against the cluster's record. Those whose record the store has lost, and all that are held where it does not
// answer, against the record beside the blob. What failed is logged, told as a warning, and not used (KekStore::prove).
// Coroutines on the loop; store and keys outlive it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/cluster/store.hpp"
#include "agent/keys/node_keys.hpp"

namespace volcrypt {

namespace asio = boost::asio;

class ProofAtStart {
 public:
  ProofAtStart(cluster::Store& store, keys::NodeKeys& keys) : store_(store), keys_(keys) {}

  struct Outcome {
    bool undecided = false;   // the TPM was absent, busy or sealed out: look again
    bool found_more = false;  // a generation failed that had not failed before
  };
  asio::awaitable<Outcome> run();
  asio::awaitable<std::vector<std::string>> warnings();  // what failed its last proof, and what has no record
  // One generation, with a fresh nonce. Throws what KekStore::prove throws.
  asio::awaitable<void> prove(const keys::KekRecord& record);
  void forget(keys::Generation generation) { unproved_.erase(generation); }  // it was destroyed

 private:
  struct NeededKeks {  // current and previous
    std::vector<keys::KekRecord> recorded;
    std::map<keys::Generation, std::string> unrecorded;  // and why: the store has no record, or none that reads
  };
  asio::awaitable<NeededKeks> needed_keks();                  // by the store; throws when it does not answer
  asio::awaitable<std::vector<keys::KekRecord>> kept_keks();  // by this node's files; damaged ones as a number alone
  asio::awaitable<std::vector<keys::KekRecord>> keks_to_prove();
  asio::awaitable<bool> is_needed(keys::Generation generation);
  asio::awaitable<std::optional<Error>> failure_of_proof(const keys::KekRecord& record);

  cluster::Store& store_;
  keys::NodeKeys& keys_;
  std::map<keys::Generation, std::string> unproved_;  // why each generation failed its last proof
};

}  // namespace volcrypt
