// Values about a TPM that leave this folder: what it is, what it lacks, and our choices. No tpm2-tss types here, so
// that the daemon can ask without its headers. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace volcrypt::keys::tpm {

// Told how long a TPM command took, by its name (tpm_commands.hpp). On the TPM's worker thread; it must not throw.
using CommandObserver = std::function<void(std::string_view command, std::chrono::nanoseconds took)>;

// Of the storage key. RSA for chips whose ECC fails the self-test; making it may take many seconds.
enum class StorageAlgorithm { ecc_p256, rsa_2048 };

enum class HmacRoute {
  direct,    // TPM2_HMAC: optional in the PC Client profile
  sequence,  // TPM2_HMAC_Start and TPM2_SequenceComplete: the same value for one block, one command more
};

// Which passwords the TPM has, by TPM_PT_PERMANENT.
struct TpmAuthorisations {
  bool owner_set = false;    // our keys cannot be made then
  bool lockout_set = false;  // empty: anybody with access to the device can clear the TPM (a warning, not an error)
  bool in_lockout = false;   // harmless to our objects, all are noDA
};

// The sentences of KekStore::warnings().
std::vector<std::string> warnings_of(const TpmAuthorisations& authorisations);

struct TpmFacts {
  std::string maker;     // "IBM", "IFX", "STM", ...: four letters, trailing blanks trimmed
  std::string model;     // vendor string, may be empty
  std::string firmware;  // four numbers with dots
  TpmAuthorisations authorisations;
  std::set<std::uint32_t> commands;  // TPM_CC
  std::vector<std::string> missing;  // what we need and do not find, by name; empty means suitable

  std::string printed() const;  // maker, model and firmware in one line
  // errc::tpm_unsuitable when neither route is there.
  HmacRoute hmac_route() const;
};

// The names of what `commands` lacks; for TpmFacts::missing.
std::vector<std::string> missing_commands(const std::set<std::uint32_t>& commands);
// errc::tpm_unsuitable that names all that is missing, and an owner password.
void require_suitable(const TpmFacts& facts);

}  // namespace volcrypt::keys::tpm
