// cluster init: makes the administrators' keys, writes them before anything else, has the node make its own keys, signs
// what the authority has to sign, and hands the signed document to the agent. Private keys and passphrases stay here.
#include <filesystem>

#include "agent/cli/enrolment.hpp"
#include "agent/cli/table.hpp"
#include "agent/cli/verbs.hpp"
#include "agent/cluster/membership.hpp"
#include "agent/control/documents.hpp"
#include "agent/keys/authority.hpp"

namespace volcrypt::cli {

namespace {

using keys::AdminKey;

struct KeyFiles {
  std::filesystem::path authority, recovery;
};

struct AdminKeys {
  AdminKey authority, recovery;
};

KeyFiles files_of(const InitOptions& options) {
  return {options.authority_file.empty() ? options.name + "-authority.json" : options.authority_file,
          options.recovery_file.empty() ? options.name + "-recovery.json" : options.recovery_file};
}

void require_absent(const std::filesystem::path& file) {
  std::error_code failed;
  if (std::filesystem::exists(std::filesystem::symlink_status(file, failed))) {
    throw Failure(ExitStatus::refused,
                  "cannot write the key file " + file.native() +
                      ": it exists. Move it away, name another one, or use its key by --reuse-keys.");
  }
}

void require_no_cluster(Session& session) {
  const auto info = session.agent.get("/v1/clusterinfo");
  if (const auto* cluster = find(info, {"cluster"}); cluster && !cluster->is_null()) {
    throw Failure(ExitStatus::refused, "cannot make a cluster: this node belongs to cluster " +
                                           text_at(*cluster, {"name"}) + " already. Nothing was changed.");
  }
}

// A cluster made without a TPM can never use one, so that one that cannot be used now ends the verb.
template <class Call>
auto needing_tpm(const std::string& state, Call call) {
  try {
    return call();
  } catch (const Failure& failure) {
    std::string text = failure.what() + state;
    if (failure.status() == ExitStatus::tpm) {
      text += " No cluster was made. For one that shall never use a TPM: `volcryptctl cluster init --without-tpm`.";
    }
    throw Failure(failure.status(), text);
  }
}

// Before anybody types passphrases.
void look_for_tpm(Session& session, const InitOptions& options) {
  if (options.tpm == control::TpmUse::left_out) return;
  needing_tpm("", [&] { return session.agent.get("/v1/node/boot-state", long_deadline); });
}

AdminKeys make_keys(Session& session, const KeyFiles& files) {
  if (files.authority == files.recovery) {
    throw Failure(ExitStatus::usage, "cannot write both keys to " + files.authority.native() + ": name two files.");
  }
  require_absent(files.authority);
  require_absent(files.recovery);
  const Secret authority_passphrase = session.passphrases.next("the authority key", Asking::twice);
  const Secret recovery_passphrase = session.passphrases.next("the recovery key", Asking::twice);
  const Uuid cluster = Uuid::random();
  AdminKeys keys{AdminKey::generate(AdminKey::Purpose::authority, cluster),
                 AdminKey::generate(AdminKey::Purpose::recovery, cluster)};
  // save() reads each file back and opens it: a key that cannot be opened must not become a cluster's.
  keys.authority.save(files.authority, authority_passphrase);
  keys.recovery.save(files.recovery, recovery_passphrase);
  return keys;
}

AdminKeys open_keys(Session& session, const KeyFiles& files) {
  AdminKeys keys{AdminKey::open(files.authority, session.passphrases.next("the authority key", Asking::once)),
                 AdminKey::open(files.recovery, session.passphrases.next("the recovery key", Asking::once))};
  if (keys.authority.purpose() != AdminKey::Purpose::authority ||
      keys.recovery.purpose() != AdminKey::Purpose::recovery) {
    throw Failure(ExitStatus::wrong_key, "cannot use the key files: one is not what it was named as. Swap them.");
  }
  if (keys.authority.cluster() != keys.recovery.cluster()) {
    throw Failure(ExitStatus::wrong_key, "cannot use the key files: they belong to different clusters.");
  }
  return keys;
}

std::string summary(const InitOptions& options, const KeyFiles& files, const cluster::Membership& membership,
                    const control::EnrolledNode& node, const std::vector<std::uint32_t>& pcrs) {
  std::string bound;
  for (const auto pcr : pcrs) bound += (bound.empty() ? "" : ", ") + std::to_string(pcr);
  Listing listing;
  listing.add("Cluster", options.name + " (" + membership.cluster.str() + ")");
  listing.add("Node", node.name + " (" + membership.members.front().node.str() + ")");
  listing.add("TPM", node.tpm ? node.tpm->maker : "left out: software protection only");
  listing.add("PCRs bound", !node.tpm || pcrs.empty() ? "none" : bound);
  listing.add("Authority key", files.authority.native());
  listing.add("Recovery key", files.recovery.native());
  return listing.text() +
         "\nMove both key files off this server, to two places each. Without the recovery key and its passphrase, "
         "nothing opens\n"
         "the volumes when the TPM is lost. Next: `volcryptctl enable feature-flag cluster-encryption`\n";
}

}  // namespace

ExitStatus cluster_init(Session& session, const InitOptions& options) {
  const KeyFiles files = files_of(options);
  require_no_cluster(session);
  look_for_tpm(session, options);
  if (!options.store.address.empty()) choose_store(session, options.store, control::StoreUse::begin);
  const AdminKeys keys = options.reuse_keys == Reuse::yes ? open_keys(session, files) : make_keys(session, files);

  const keys::IdentityRequest request{keys.authority.public_der(), keys.authority.cluster(), Uuid::random()};
  const std::string again = " The key files are written; run the same with --reuse-keys when the cause is gone.";
  const auto answer = needing_tpm(again, [&] {
    return session.agent.post("/v1/node/identity", control::render(control::EnrolRequest{request, options.tpm}));
  });
  const control::EnrolledNode node = control::parse_enrolled_node(http::JsonObject(answer, "the agent's answer"));

  const std::vector<std::uint32_t> pcrs = options.pcrs.value_or(std::vector<std::uint32_t>{7});
  cluster::Membership membership;
  membership.cluster = keys.authority.cluster();
  membership.cluster_name = options.name;
  membership.authority_public = keys.authority.public_der();
  membership.recovery_point = keys.recovery.public_point();
  membership.members.push_back(
      make_member(keys.authority, {node, node.node, keys.recovery.public_point(), pcrs, 1, {}}));
  cluster::SignedMembership document;
  document.document = cluster::to_json(membership);
  document.signature = keys.authority.sign(cluster::signing_input(document.document));
  try {
    session.agent.post("/v1/cluster", control::render(document));
  } catch (const Failure& failure) {
    throw Failure(failure.status(), failure.what() + again);
  }
  session.show(json::object{{"cluster", membership.cluster.str()},
                            {"node", node.node.str()},
                            {"authorityFile", files.authority.native()},
                            {"recoveryFile", files.recovery.native()}},
               summary(options, files, membership, node, pcrs));
  return ExitStatus::done;
}

}  // namespace volcrypt::cli
