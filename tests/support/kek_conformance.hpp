// What every KekStore must do, whatever holds its keys: one list of checks, run against the software store (tier image)
// and the TPM store (tier tpm). A test program gives a maker of fresh nodes and adds the checks at start:
//   const tests::KekConformance added("software", [] { return std::make_unique<SoftwareNode>(); });
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/keys/kek_store.hpp"

namespace volcrypt::tests {

// One node under test. Its state lives as long as the object; open() is a restart of the agent on it (no other store of
// the node is open then).
class KekNode {
 public:
  virtual ~KekNode() = default;
  virtual std::unique_ptr<keys::KekStore> open() = 0;
  virtual std::filesystem::path directory() const = 0;  // of its keys::KekFiles
  // What the authority binds; nothing unless overridden.
  virtual std::vector<std::uint32_t> pcrs() const { return {}; }
  virtual Bytes boot_state_digest() const { return {}; }
};

using KekNodeMaker = std::function<std::unique_ptr<KekNode>()>;

// Adds the suite "kek_store_NAME" to the program's test tree.
struct KekConformance {
  KekConformance(const std::string& name, KekNodeMaker maker);
};

}  // namespace volcrypt::tests
