// NodeKeys: the node's keyrings, one for each protection it has, and which of them the cluster chose. Before `enable`
// nothing is chosen and both answer identity() and adopt(); afterwards everything goes through chosen(). Loop thread.
#pragma once

#include <memory>
#include <optional>

#include "agent/keys/keyring.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {

class NodeKeys {
 public:
  // Either may be null: a machine without TPM has software alone.
  NodeKeys(std::unique_ptr<Keyring> tpm, std::unique_ptr<Keyring> software)
      : tpm_(std::move(tpm)), software_(std::move(software)) {}

  bool has(Protection protection) const noexcept { return slot(protection) != nullptr; }
  // errc::tpm_absent when this node was started without that keyring.
  Keyring& of(Protection protection) {
    if (Keyring* found = slot(protection)) return *found;
    throw Error(errc::tpm_absent,
                {"use", protection == Protection::tpm ? "the TPM" : "the software keys",
                 "Give volcryptd a TPM (tcti in its configuration file), or choose software protection."});
  }
  void choose(Protection protection) noexcept { chosen_ = protection; }
  std::optional<Protection> choice() const noexcept { return chosen_; }
  Keyring& chosen() {
    if (!chosen_) {
      throw Error(errc::wrong_state,
                  {"use", "the cluster's keys",
                   "Cluster encryption is not enabled: run `volcryptctl enable cluster-encryption`."});
    }
    return of(*chosen_);
  }

 private:
  Keyring* slot(Protection protection) const noexcept {
    return protection == Protection::tpm ? tpm_.get() : software_.get();
  }

  std::unique_ptr<Keyring> tpm_, software_;
  std::optional<Protection> chosen_;
};

}  // namespace volcrypt::keys
