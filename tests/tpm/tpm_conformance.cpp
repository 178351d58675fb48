// The conformance suite of every KekStore, against the TPM store: with no PCR bound, with PCR 7, by the second HMAC
// route, and under an RSA storage key. What only the TPM store has is in tpm_kek_store.cpp.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/keys/tpm/boot_state.hpp"
#include "tests/support/kek_conformance.hpp"
#include "tests/tpm/tpm_fixture.hpp"

using namespace volcrypt;

namespace {

class TpmNode : public tests::KekNode {
 public:
  TpmNode(std::vector<std::uint32_t> pcrs, keys::tpm::HmacRoute route, keys::tpm::StorageAlgorithm algorithm)
      : pcrs_(std::move(pcrs)), route_(route), algorithm_(algorithm) {}

  std::unique_ptr<keys::KekStore> open() override {
    keys::TpmStoreOptions options;
    options.tcti = swtpm_.tcti();
    options.directory = directory();
    options.route = route_;
    options.algorithm = algorithm_;
    return std::make_unique<keys::TpmKekStore>(options);
  }
  std::filesystem::path directory() const override { return directory_.path / "tpm"; }
  std::vector<std::uint32_t> pcrs() const override { return pcrs_; }
  Bytes boot_state_digest() const override {
    if (pcrs_.empty()) return {};
    return keys::tpm::read_boot_state(keys::tpm::TpmContext(swtpm_.tcti()).esys(), pcrs_).digest_now;
  }

 private:
  test::Swtpm swtpm_;
  test::TemporaryDirectory directory_;
  std::vector<std::uint32_t> pcrs_;
  keys::tpm::HmacRoute route_;
  keys::tpm::StorageAlgorithm algorithm_;
};

tests::KekNodeMaker maker(std::vector<std::uint32_t> pcrs, keys::tpm::HmacRoute route,
                          keys::tpm::StorageAlgorithm algorithm = keys::tpm::StorageAlgorithm::ecc_p256) {
  return [pcrs = std::move(pcrs), route, algorithm] { return std::make_unique<TpmNode>(pcrs, route, algorithm); };
}

const tests::KekConformance unbound("tpm_without_pcrs", maker({}, keys::tpm::HmacRoute::direct));
const tests::KekConformance bound("tpm_with_pcr_7", maker({7}, keys::tpm::HmacRoute::sequence));
const tests::KekConformance rsa("tpm_with_rsa_storage_key",
                                maker({7}, keys::tpm::HmacRoute::direct, keys::tpm::StorageAlgorithm::rsa_2048));

}  // namespace
