// What a node says of itself when a cluster is made: the answer to POST /v1/node/identity. A value; nothing secret.
#pragma once

#include <optional>
#include <string>

#include "agent/keys/kek_store.hpp"

namespace volcrypt::control {

struct EnrolledNode {
  std::string name;                       // host name, for the membership document
  std::optional<keys::NodeIdentity> tpm;  // empty where no usable TPM answers; `tpm_failure` says why
  std::string tpm_failure;
  keys::NodeIdentity software;
  keys::BootReport boot;  // PCRs 0 to 15 now, for the authority to sign; no values without TPM
};

}  // namespace volcrypt::control
