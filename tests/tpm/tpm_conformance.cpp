// The conformance suite of every KekStore, against the TPM store: with no PCR bound, with PCR 7, and by the second HMAC
// route. What only the TPM store has is in tpm_kek_store.cpp.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "agent/keys/tpm/boot_state.hpp"
#include "tests/support/kek_conformance.hpp"
#include "tests/tpm/tpm_fixture.hpp"

using namespace volcrypt;

namespace {

class TpmNode : public tests::KekNode {
 public:
  TpmNode(std::vector<std::uint32_t> pcrs, keys::tpm::HmacRoute route) : pcrs_(std::move(pcrs)), route_(route) {}

  std::unique_ptr<keys::KekStore> open() override {
    keys::TpmStoreOptions options;
    options.tcti = swtpm_.tcti();
    options.directory = directory();
    options.route = route_;
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
};

tests::KekNodeMaker maker(std::vector<std::uint32_t> pcrs, keys::tpm::HmacRoute route) {
  return [pcrs = std::move(pcrs), route] { return std::make_unique<TpmNode>(pcrs, route); };
}

const tests::KekConformance unbound("tpm_without_pcrs", maker({}, keys::tpm::HmacRoute::direct));
const tests::KekConformance bound("tpm_with_pcr_7", maker({7}, keys::tpm::HmacRoute::sequence));

}  // namespace
