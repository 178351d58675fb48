// The inside of TpmKekStore, shared by the files that hold its calls: the one connection to the TPM and how a call runs
// on it. The TPM's worker thread.
#pragma once

#include "agent/keys/tpm/tpm_context.hpp"
#include "agent/keys/tpm/tpm_hmac.hpp"
#include "agent/keys/tpm/tpm_kek_store.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {

struct TpmKekStore::Connection {
  Connection(const std::string& tcti, tpm::CommandObserver observe) : context(tcti, std::move(observe)) {}
  ESYS_CONTEXT* esys() const noexcept { return context.esys(); }
  void drop_kek() noexcept {
    kek.end();
    generation = 0;
    kek_name.clear();
  }

  tpm::TpmContext context;
  std::optional<tpm::HmacRoute> route;
  tpm::OpenHandle storage;
  tpm::Transient kek;
  Generation generation = 0;  // of the loaded KEK; 0: none
  Bytes kek_name;             // and its Name
};

// Runs a call on the connection. After any answer that a TPM or the way to it made wrong, the connection is given up:
// an ESYS_CONTEXT is dead after most of these, and opening another costs little. One that had died unnoticed, at a
// flush, says so by BAD_SEQUENCE before it does anything: then the call runs once more on a new one.
template <class Call>
auto TpmKekStore::run(Call call) {
  for (int attempt = 1;; ++attempt) {
    try {
      return call(connect());
    } catch (const Error& error) {
      if (error.code().category() != tpm::tss_category() && error.code() != errc::tpm_absent) throw;
      disconnect();
      dirty_ = true;
      if (attempt == 2 || error.code() != tpm::tss_code(TSS2_ESYS_RC_BAD_SEQUENCE)) throw;
    }
  }
}

}  // namespace volcrypt::keys
