// KekFiles: the directory of one KekStore on this node, of either kind. One KeptFile per generation, blob and record
// side by side, so that boot needs nothing else; beside them the approvals and what the node's keys are bound to. Knows
// no key and no TPM. Blocking; one thread at a time, one process per directory.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/keys/documents.hpp"
#include "agent/keys/kek_store.hpp"
#include "agent/keys/kept_file.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {

class KekFiles {
 public:
  // Makes the directory (0700) where it is missing, finishes a destroy() that was cut short, and repairs single damaged
  // files. What cannot be repaired is left for the call that needs it, so one bad generation does not stop the others.
  explicit KekFiles(std::filesystem::path directory);

  const std::vector<std::string>& repaired() const noexcept { return repaired_; }  // file names, for the log

  // Throws errc::already_exists when the number is in use, damaged or not, or not above every number destroyed here.
  // A failure leaves nothing of the generation behind.
  void add(const StoredKek& kek);
  // The same check alone, to be made before a KEK is created.
  void require_unused(Generation generation) const;

  // True when exactly this KEK is held. errc::already_exists when another one has its number, or had it.
  bool is_held(const KekRecord& record) const;

  std::optional<StoredKek> find(Generation generation) const;  // errc::store_damaged
  StoredKek get(Generation generation) const;                  // and errc::wrong_generation when there is none
  std::vector<Generation> generations() const;                 // of all files, damaged ones too, ascending
  std::vector<KekRecord> records() const;  // ascending; damaged ones are left out here, and named by find()

  // Runs `proof` on the generation's KEK. One that finds an impostor closes the generation to require_trusted(), until
  // a proof succeeds or the files are opened anew: blob and record beside it may have been replaced together, and only
  // whoever knows the cluster's record finds that.
  template <class Proof>
  auto judged_by(Generation generation, Proof proof) {
    try {
      auto answer = proof();
      distrusted_.erase(generation);
      return answer;
    } catch (const Error& error) {
      if (error.code() == errc::impostor_kek) distrusted_.insert_or_assign(generation, error);
      throw;
    }
  }
  void require_trusted(Generation generation) const;  // throws what the last proof threw

  void destroy(Generation generation);  // idempotent; goes on at the next start when it is cut short

  std::optional<Approvals> approvals() const;
  Approvals get_approvals() const;  // errc::wrong_state when nothing was adopted
  // Checks nothing but the epoch: errc::too_old when it is below the stored one.
  void save(const Approvals& approvals);
  std::optional<IdentityRequest> binding() const;
  // No-op when the same. Another one replaces it and the approvals (true), unless a KEK was ever made:
  // errc::wrong_state.
  bool bind(const IdentityRequest& request);

  // One more document, for what only one kind of store keeps. The name must not begin with "kek-".
  KeptFile file(std::string_view name) const { return KeptFile(directory_ / name); }

 private:
  KeptFile kek_file(Generation generation) const;
  std::filesystem::path directory_;
  std::vector<std::string> repaired_;
  std::map<Generation, Error> distrusted_;
};

}  // namespace volcrypt::keys
