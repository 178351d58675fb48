// Members with a software TPM each on port 4007: KEKs go from TPM to TPM between servers as they do between stores.
#include "agent/keys/tpm/boot_state.hpp"
#include "tests/support/peer_cluster.hpp"
#include "tests/tpm/tpm_fixture.hpp"

namespace volcrypt::test {

namespace {

class TpmNode : public tests::KekNode {
 public:
  std::unique_ptr<keys::KekStore> open() override {
    keys::TpmStoreOptions options;
    options.tcti = swtpm_.tcti();
    options.directory = directory();
    return std::make_unique<keys::TpmKekStore>(options);
  }
  std::filesystem::path directory() const override { return directory_.path / "tpm"; }
  std::vector<std::uint32_t> pcrs() const override { return {7}; }
  Bytes boot_state_digest() const override {
    return keys::tpm::read_boot_state(keys::tpm::TpmContext(swtpm_.tcti()).esys(), pcrs()).digest_now;
  }

 private:
  Swtpm swtpm_;
  TemporaryDirectory directory_;
};

const PeerConformance added("tpm", [] { return std::make_unique<TpmNode>(); });

}  // namespace

}  // namespace volcrypt::test
