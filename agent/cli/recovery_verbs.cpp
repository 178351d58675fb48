// Verbs of recovery: prove the recovery key against the present blobs, export the bundle, and open a drive with both on
// a machine that has no agent, cluster or TPM. The only verbs that touch keys of volumes; they do it in Secrets.
#include <algorithm>

#include "agent/cli/file.hpp"
#include "agent/cli/table.hpp"
#include "agent/cli/verbs.hpp"
#include "agent/keys/dek_wrap.hpp"
#include "agent/keys/recovery.hpp"
#include "agent/runtime/log.hpp"
#include "dmtarget/luks.hpp"
#include "dmtarget/mapper.hpp"
#include "dmtarget/name.hpp"
#include "dmtarget/volume.hpp"

namespace volcrypt::cli {

namespace {

using keys::AdminKey;

constexpr std::size_t bundle_file_limit = 1024 * 1024;  // bytes, as in keys/recovery.hpp

AdminKey open_recovery_key(Session& session, const std::string& file) {
  AdminKey key = AdminKey::open(file, session.passphrases.next("the recovery key", Asking::once));
  if (key.purpose() != AdminKey::Purpose::recovery) {
    throw Failure(ExitStatus::wrong_key, "cannot use " + file + ": it holds the authority key, not the recovery key.");
  }
  return key;
}

void require_same_cluster(const AdminKey& key, const Uuid& cluster, const std::string& of_what) {
  if (key.cluster() == cluster) return;
  throw Failure(ExitStatus::wrong_key, "cannot use the recovery key: it belongs to cluster " + key.cluster().str() +
                                           ", " + of_what + " to " + cluster.str() + ".");
}

const keys::RecoveryBlob& blob_for(const keys::RecoveryBundle& bundle, keys::Generation generation,
                                   const RecoveryOpenOptions& options) {
  const auto found = std::find_if(bundle.blobs.begin(), bundle.blobs.end(),
                                  [&](const auto& blob) { return blob.generation == generation; });
  if (found != bundle.blobs.end()) return *found;
  std::string held;
  for (const auto& blob : bundle.blobs) held += (held.empty() ? "" : ", ") + std::to_string(blob.generation);
  throw Failure(ExitStatus::failed, "cannot open " + options.device + ": it needs KEK generation " +
                                        std::to_string(generation) + ", and " + options.bundle + " holds " +
                                        (held.empty() ? "none" : held) +
                                        ". Take a bundle that was exported after the last rotation before the loss.");
}

// Before anybody is asked for a passphrase; dm::attach_as looks again.
void check_free(const std::string& name, const Uuid& volume) {
  const auto mapping = dm::find_mapping(name);
  if (mapping && !dm::is_mapping_of(mapping->uuid, volume)) {
    throw Failure(ExitStatus::refused, "cannot attach as " + name + ": " + dm::mapping_path(name) +
                                           " is something else. Choose another name with --name.");
  }
}

}  // namespace

ExitStatus recovery_verify(Session& session, const std::string& recovery_file) {
  const auto bundle = keys::parse_recovery_bundle(session.agent.get_text("/v1/recovery/bundle"));
  if (bundle.blobs.empty()) {
    throw Failure(ExitStatus::refused,
                  "cannot verify the recovery key: there is no KEK yet. "
                  "Run `volcryptctl enable cluster-encryption` first.");
  }
  const AdminKey key = open_recovery_key(session, recovery_file);
  require_same_cluster(key, bundle.cluster, "the agent");
  Table table({{"KEK", Align::right}, {"PROTECTION"}, {"RESULT"}});
  json::array names, results;
  std::string failed;
  for (const auto& blob : bundle.blobs) {
    std::string result = "opens";
    try {
      keys::RecoveredKek::open(blob, key, bundle.cluster);  // computes the Name again from the opened key
      names.emplace_back(to_hex(blob.name));
    } catch (const Error& error) {
      result = error.what();
      failed += (failed.empty() ? "" : ", ") + std::to_string(blob.generation);
    }
    table.add({std::to_string(blob.generation), blob.protection == keys::Protection::tpm ? "tpm" : "software", result});
    results.emplace_back(json::object{{"generation", blob.generation}, {"result", result}});
  }
  if (failed.empty()) session.agent.post("/v1/recovery/verified", json::object{{"names", names}});
  session.show(json::object{{"verified", failed.empty()}, {"generations", results}}, table.text());
  if (failed.empty()) return ExitStatus::done;
  throw Failure(ExitStatus::wrong_key,
                "cannot open the recovery blob of generation " + failed +
                    " with this key. Volumes of it depend on this server alone: copy their data, "
                    "or rotate with `volcryptctl rotate cluster-root-key` and verify again.");
}

ExitStatus recovery_export(Session& session, const std::string& output) {
  const std::string text = session.agent.get_text("/v1/recovery/bundle");
  const auto bundle = keys::parse_recovery_bundle(text);  // never export what could not be read back
  write_new_file(output, as_bytes(text));
  std::string generations;
  json::array numbers;
  for (const auto& blob : bundle.blobs) {
    generations += (generations.empty() ? "" : ", ") + std::to_string(blob.generation);
    numbers.emplace_back(blob.generation);
  }
  session.show(json::object{{"file", output}, {"generations", numbers}},
               "Recovery bundle with KEK generation " + (generations.empty() ? "none" : generations) + " is in " +
                   output + ". It holds nothing secret in clear; keep it apart from this server.\n");
  return ExitStatus::done;
}

namespace {

struct CopiesTold {
  std::string word;      // for programs: "good", "repaired", "damaged"
  std::string sentence;  // for people; empty when both copies are good
};

// Behind the proof, as the agent does it (dmtarget/volume.hpp): left alone, libcryptsetup would write the damaged copy
// again by itself as it activates, and tell nobody.
CopiesTold mend_copies(const std::string& device, const dm::LuksHeader& header, const Secret& dek) {
  if (header.facts().copies != dm::HeaderFacts::Copies::one_damaged) return {"good", ""};
  try {
    dm::repair_header(device, header.token(), dek);
    return {"repaired",
            "One of the drive's two header copies was damaged, and is repaired from the other: look at the drive's "
            "health.\n"};
  } catch (const Error& error) {
    return {"damaged", "One of the drive's two header copies is damaged and cannot be repaired: " +
                           std::string(error.what()) + "\n"};
  }
}

}  // namespace

ExitStatus recovery_open(Session& session, const RecoveryOpenOptions& options) {
  if (options.name) dm::check_volume_name(*options.name);
  const Bytes text = read_whole_file(options.bundle, bundle_file_limit);
  const auto bundle = keys::parse_recovery_bundle({reinterpret_cast<const char*>(text.data()), text.size()});
  const dm::LuksHeader header = dm::LuksHeader::open(options.device);
  header.check_description();
  const dm::Token& token = header.token();
  if (token.cluster != bundle.cluster) {
    throw Failure(ExitStatus::not_ours, "cannot open " + options.device + ": it belongs to cluster " +
                                            token.cluster.str() + ", the bundle to " + bundle.cluster.str() +
                                            ". Take that cluster's bundle.");
  }
  const std::string name = options.name.value_or(token.name);
  check_free(name, token.volume);
  const auto& blob = blob_for(bundle, token.generation, options);
  const AdminKey key = open_recovery_key(session, options.recovery_file);
  require_same_cluster(key, bundle.cluster, "the bundle");
  const Secret group = keys::RecoveredKek::open(blob, key, bundle.cluster).group_key(token.cluster, token.group);
  const Secret dek = keys::unwrap(token, group);
  const CopiesTold copies = mend_copies(options.device, header, dek);
  const auto changed = dm::attach_as(name, options.device, token, dek);
  runtime::log_to_journal(runtime::Severity::notice, "a volume was opened with the recovery key",
                          {{"volume", token.name},
                           {"uuid", token.volume.str()},
                           {"device", options.device},
                           {"mapping", name},
                           {"generation", std::to_string(token.generation)}});
  session.show(json::object{{"changed", changed == dm::Changed::yes},
                            {"name", name},
                            {"mapping", dm::mapping_path(name)},
                            {"headerCopy", copies.word}},
               "Volume " + token.name + (changed == dm::Changed::yes ? " is" : " was already") + " attached as " +
                   dm::mapping_path(name) + ".\n" + copies.sentence +
                   "Copy the data; detach it with: cryptsetup close " + name + "\n");
  return ExitStatus::done;
}

}  // namespace volcrypt::cli
