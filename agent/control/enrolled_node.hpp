// Enrolment, the first step of `cluster init`: what is asked of a node, and what it says of itself (POST
// /v1/node/identity). Values; nothing secret.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/keys/kek_store.hpp"

namespace volcrypt::control {

enum class TpmUse { required, left_out };

struct EnrolRequest {
  keys::IdentityRequest identity;
  TpmUse tpm = TpmUse::required;
};

struct Listening {
  Bytes tls_fingerprint;               // of the key that it proves on port 4007
  std::vector<std::string> addresses;  // where it listens there; none: it does not
};

struct EnrolledNode {
  Uuid node;         // the id asked for, or the one that it has for this authority and cluster already
  std::string name;  // host name, for the membership document
  std::optional<keys::NodeIdentity> tpm;  // empty where it was to be left out, and then only
  keys::NodeIdentity software;
  keys::BootReport boot;               // PCRs 0 to 15 now, for the authority to sign; no values without TPM
  Bytes tls_fingerprint;               // of the key that it proves on port 4007
  std::vector<std::string> addresses;  // where it listens there; none: it does not
};

}  // namespace volcrypt::control
