// The program that tpm_crash.cpp runs into failpoints: one call of the TPM's key store in DIRECTORY.
// usage: tpm_scenario DIRECTORY create|destroy|adopt TCTI APPROVALS-FILE. Exit status 0: done; 3: an error, and said
// so.
#include <string>

#include "agent/keys/documents.hpp"
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
    const Bytes approvals = runtime::read_file(argv[4], 1 << 20).value();
    if (verb == "create") store.create(3);
    if (verb == "destroy") store.destroy(1);
    if (verb == "adopt") store.adopt(keys::parse_approvals(std::string(approvals.begin(), approvals.end())));
  });
}
