// See boot_state.hpp.
#include "agent/keys/tpm/boot_state.hpp"

#include <algorithm>

#include "agent/keys/tpm/tpm_bytes.hpp"
#include "agent/keys/tpm/tpm_object.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys::tpm {
namespace {

struct Reading {
  std::vector<Bytes> values;
  UINT32 counter = 0;
};

// One TPM2_PCR_Read returns at most eight values and says by its selection which.
Reading read_once(ESYS_CONTEXT* esys, const std::vector<std::uint32_t>& pcrs) {
  Reading reading;
  std::size_t done = 0;
  while (done < pcrs.size()) {
    const std::size_t batch = std::min<std::size_t>(pcrs.size() - done, 8);
    const std::vector<std::uint32_t> part(pcrs.begin() + static_cast<std::ptrdiff_t>(done),
                                          pcrs.begin() + static_cast<std::ptrdiff_t>(done + batch));
    const TPML_PCR_SELECTION selection = select_pcrs(part);
    TPML_PCR_SELECTION* raw_selection = nullptr;
    TPML_DIGEST* raw_values = nullptr;
    UINT32 counter = 0;
    check(Esys_PCR_Read(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &selection, &counter, &raw_selection,
                        &raw_values),
          "TPM2_PCR_Read", "the PCRs");
    const Returned<TPML_PCR_SELECTION> read(raw_selection);
    const Returned<TPML_DIGEST> values(raw_values);
    if (values->count != batch) {
      throw Error(errc::tpm_unsuitable,
                  {"read", "PCRs of bank SHA-256", "Enable the SHA-256 bank of PCRs in the firmware, or bind no PCR."});
    }
    if (done > 0 && counter != reading.counter) return {};
    reading.counter = counter;
    for (UINT32 i = 0; i < values->count; ++i) reading.values.push_back(content_of(values->digests[i]));
    done += batch;
  }
  return reading;
}

}  // namespace

BootReport read_boot_state(ESYS_CONTEXT* esys, const std::vector<std::uint32_t>& pcrs) {
  BootReport report;
  report.pcrs = pcrs;
  if (pcrs.empty()) return report;
  Reading reading;
  for (int attempt = 0; attempt < 4 && reading.values.size() != pcrs.size(); ++attempt) reading = read_once(esys, pcrs);
  if (reading.values.size() != pcrs.size()) {
    throw Error(errc::conflict, {"read", "the PCRs", "They changed while being read: try again."});
  }
  for (std::size_t i = 0; i < pcrs.size(); ++i) report.values.emplace_back(pcrs[i], reading.values[i]);
  const Digest digest = pcr_digest_of(reading.values);
  report.digest_now.assign(digest.begin(), digest.end());
  return report;
}

const Approvals::BootState* matching_state(const Approvals& approvals, const BootReport& report) noexcept {
  const auto found =
      std::find_if(approvals.boot_states.rbegin(), approvals.boot_states.rend(),
                   [&report](const Approvals::BootState& state) { return state.pcr_digest == report.digest_now; });
  return found == approvals.boot_states.rend() ? nullptr : &*found;
}

void throw_sealed_out(const BootReport& report) {
  std::string now;
  for (const auto& [pcr, value] : report.values) {
    now += (now.empty() ? "PCR " : ", PCR ") + std::to_string(pcr) + " = " + to_hex(value);
  }
  throw Error(errc::sealed_out, {"load the cluster's keys in",
                                 "the state that this machine booted in (" + (now.empty() ? "no PCR bound" : now) + ")",
                                 "If the change was intended (firmware, Secure Boot), approve it: `volcryptctl node "
                                 "approve-boot-state --authority-file FILE`."});
}

}  // namespace volcrypt::keys::tpm
