// The program that tpm_crash.cpp runs into failpoints: one call of the TPM's key store in DIRECTORY.
// usage: tpm_scenario DIRECTORY create|destroy|adopt|import TCTI LETTER. LETTER: a file with approvals, or with a
// transfer and beside it LETTER.inner (the inner key) and LETTER.maker (the maker's attestation key). Exit status 0:
// done; 3: an error, and said so.
#include <string>

#include "agent/keys/documents.hpp"
#include "agent/keys/messages.hpp"
#include "agent/keys/tpm/tpm_kek_store.hpp"
#include "agent/runtime/durable_file.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/scenario.hpp"

using namespace volcrypt;

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const std::string verb = argv[2];
  return test::exit_status_of([&] {
    keys::TpmStoreOptions options;
    options.directory = std::string(argv[1]) + "/keys";
    options.tcti = argv[3];
    keys::TpmKekStore store(options);
    const std::string letter = argv[4];
    const auto content = [](const std::string& file) { return runtime::read_file(file, 1 << 20).value(); };
    const auto text = [&] {
      const Bytes bytes = content(letter);
      return std::string(bytes.begin(), bytes.end());
    };
    if (verb == "create") store.create(3);
    if (verb == "destroy") store.destroy(1);
    if (verb == "adopt") store.adopt(keys::parse_approvals(text()));
    if (verb == "import") {
      keys::KekTransfer transfer = keys::parse_kek_transfer(text());
      transfer.inner_key = Secret::copy_of(content(letter + ".inner"));
      store.import(transfer, {content(letter + ".maker")});
    }
  });
}
