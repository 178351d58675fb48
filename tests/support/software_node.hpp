// A node with software keys in a directory of its own, for PeerCluster.
#pragma once

#include <memory>

#include "agent/keys/software_kek_store.hpp"
#include "tests/support/kek_conformance.hpp"
#include "tests/support/temporary_directory.hpp"

namespace volcrypt::test {

class SoftwareNode : public tests::KekNode {
 public:
  std::unique_ptr<keys::KekStore> open() override { return std::make_unique<keys::SoftwareKekStore>(directory()); }
  std::filesystem::path directory() const override { return directory_.path() / "software"; }

 private:
  tests::TemporaryDirectory directory_;
};

}  // namespace volcrypt::test
