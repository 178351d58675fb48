// The two kinds of TPM session we use. SaltedSession: HMAC session whose key is salted to the pinned storage key, with
// AES-128-CFB parameter encryption both ways; protects the bus and detects altered answers. PolicySession: carries an
// authorisation, protects nothing. Started, used and closed within one call, never kept idle. The TPM's worker thread.
// Source: TPM 2.0 Part 1 section 19 (sessions) and 21 (parameter encryption).
#pragma once

#include "agent/keys/tpm/tpm_object.hpp"

namespace volcrypt::keys::tpm {

enum class Use {
  more,  // the session goes on afterwards
  last,  // continueSession clear: the TPM closes the session with a successful answer
};

class SaltedSession {
 public:
  // `salt_key` must have been compared with the Name on record (storage_key.hpp): an interposer's key would give it the
  // session. A session that is not salted encrypts under keys that everybody on the bus can compute: there is no such
  // one.
  SaltedSession(ESYS_CONTEXT* esys, ESYS_TR salt_key);

  // The session, set up for one command. ESAPI drops the encryption of a command that has no parameter for it without a
  // word, so only commands of our list get a handle; errc::invalid_argument for any other.
  ESYS_TR for_command(TPM2_CC command, Use use);
  // To be called after a successful command with Use::last.
  void ended() noexcept { session_.ended(); }

 private:
  ESYS_CONTEXT* esys_;
  Transient session_;
};

class PolicySession {
 public:
  explicit PolicySession(ESYS_CONTEXT* esys);
  // Ends with its one command when that succeeds: continueSession is clear from the start.
  ESYS_TR get() const noexcept { return session_.get(); }
  void ended() noexcept { session_.ended(); }

 private:
  Transient session_;
};

}  // namespace volcrypt::keys::tpm
