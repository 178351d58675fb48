// SoftwareKekStore; see software_kek_store.hpp. Every use opens the KEK from its stored box, as a TPM loads its blob.
#include "agent/keys/software_kek_store.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "agent/keys/authority.hpp"
#include "agent/keys/box.hpp"
#include "agent/keys/dek_wrap.hpp"
#include "agent/keys/join_proof.hpp"
#include "agent/keys/node_key.hpp"
#include "agent/keys/recovery.hpp"
#include "agent/keys/symmetric.hpp"
#include "agent/runtime/durable_file.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"

namespace volcrypt::keys {
namespace {

constexpr std::size_t credential_limit = 4096;

Bytes box_context(const Approvals& approvals, Generation generation) {
  return Canonical("volcrypt software kek v1").add(approvals.cluster).add(approvals.node).add(generation).bytes();
}

// Of the box in which a KEK goes to a member.
Bytes transfer_context(const Uuid& cluster, const Uuid& to, const KekRecord& record) {
  return Canonical("volcrypt software kek transfer v1")
      .add(cluster)
      .add(to)
      .add(record.generation)
      .add(record.trust_epoch)
      .add(record.name)
      .bytes();
}

[[noreturn]] void impostor(Generation generation) {
  throw Error(errc::impostor_kek,
              {"use", "KEK generation " + std::to_string(generation),
               "Its key is not the one on record; restore this node's key directory from a backup."});
}

}  // namespace

// A KEK in use: at most one, for the time of one call.
struct SoftwareKekStore::Opened {
  StoredKek stored;
  Secret key;
};

Bytes software_kek_name(const Uuid& cluster, Generation generation, const Secret& key) {
  const StackWiper wiper;
  // The canonical encoding with the key as its last field, hashed in two pieces: the key must not be copied into Bytes.
  Bytes head = Canonical("volcrypt kek name v1").add(cluster).add(generation).bytes();
  for (int shift = 24; shift >= 0; shift -= 8) head.push_back(std::uint8_t(key.size() >> shift));
  const std::unique_ptr<EVP_MD_CTX, FreeWith<&EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  Digest digest{};
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), head.data(), head.size()) != 1 ||
      EVP_DigestUpdate(context.get(), key.data(), key.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
    throw Error(errc::wrong_state, {"hash", "a KEK", "Check the memory and the OpenSSL 3 installation."});
  }
  Bytes name{0x00, 0x0b};
  name.insert(name.end(), digest.begin(), digest.end());
  return name;
}

std::optional<Secret> node_key_credential() {
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr) return std::nullopt;
  return runtime::read_secret_file(std::filesystem::path(directory) / "volcrypt-node-key", credential_limit);
}

SoftwareKekStore::SoftwareKekStore(std::filesystem::path directory, std::optional<Secret> node_key_lock)
    : files_(std::move(directory)), node_key_lock_(std::move(node_key_lock)) {}

const Secret& SoftwareKekStore::node_scalar() {
  if (!node_scalar_) {
    std::optional<P256Pair> key = open_node_key(files_.file("node-key"), node_key_lock_);
    if (!key) {
      throw Error(errc::store_damaged, {"find", files_.file("node-key").path().string(),
                                        "Without it this node's KEKs cannot be opened; restore it from a backup."});
    }
    node_scalar_ = std::move(key->scalar);
  }
  return *node_scalar_;
}

NodeIdentity SoftwareKekStore::identity(const IdentityRequest& request) {
  p256_point_from_der(request.authority_public);  // refuses what is no key
  files_.bind(request);
  std::optional<P256Pair> key = open_node_key(files_.file("node-key"), node_key_lock_);
  if (!key) key = make_node_key(files_.file("node-key"), node_key_lock_);
  return {Protection::software, std::move(key->point), {}, {}, "software"};
}

JoinProof SoftwareKekStore::answer(const JoinChallenge& challenge) {
  return {open_join_box(node_scalar(), challenge), {}, {}};
}

void SoftwareKekStore::adopt(const Approvals& approvals) {
  check_approvals(approvals, Protection::software, p256_point(node_scalar()));
  if (files_.binding() != IdentityRequest{approvals.authority_public, approvals.cluster, approvals.node}) {
    throw Error(errc::bad_signature, {"adopt", "the approvals of cluster " + approvals.cluster.str(),
                                      "This node's keys belong to another cluster, node or authority."});
  }
  files_.save(approvals);
}

SoftwareKekStore::Opened SoftwareKekStore::open(Generation generation, const Approvals& approvals) {
  Opened opened{files_.get(generation), Secret(0)};
  try {
    opened.key = open_box(node_scalar(), box_context(approvals, generation), opened.stored.blob);
  } catch (const Error& error) {
    if (error.code() != errc::wrong_key) throw;
    impostor(generation);  // sealed to another node key, or changed
  }
  const bool right = opened.stored.record.protection == Protection::software && opened.key.size() == key_size &&
                     software_kek_name(approvals.cluster, generation, opened.key) == opened.stored.record.name;
  if (!right) impostor(generation);
  return opened;
}

KekRecord SoftwareKekStore::create(Generation generation) {
  const Approvals approvals = files_.get_approvals();
  files_.require_unused(generation);
  const Secret key = Secret::random(key_size);
  const Bytes blob = seal_box(p256_point(node_scalar()), box_context(approvals, generation), key);
  const Bytes name = software_kek_name(approvals.cluster, generation, key);
  files_.add({{generation, Protection::software, name, {}, {}, approvals.trust_epoch}, blob, {}});
  try {
    return open(generation, approvals).stored.record;
  } catch (const Error&) {
    files_.destroy(generation);  // it never counted, and it must not be mistaken for one that does
    throw;
  }
}

RecoveryBlob SoftwareKekStore::duplicate_to_recovery(const KekRecord& record) {
  const Approvals approvals = files_.get_approvals();
  const Opened opened = open(record.generation, approvals);
  if (opened.stored.record.name != record.name) impostor(record.generation);
  return seal_software_kek(approvals.recovery_public, approvals.cluster, opened.stored.record, opened.key);
}

KekTransfer SoftwareKekStore::duplicate_to(const KekRecord& record, const Peer& peer) {
  const Approvals approvals = files_.get_approvals();
  const Opened opened = open(record.generation, approvals);
  if (opened.stored.record.name != record.name) impostor(record.generation);
  duplication_approval_of(peer, approvals, Protection::software, opened.stored.record.trust_epoch);
  const Bytes context = transfer_context(approvals.cluster, peer.node, opened.stored.record);
  return {opened.stored.record, seal_box(peer.storage_key, context, opened.key), {}, Secret(0)};
}

void SoftwareKekStore::import(const KekTransfer& transfer, const std::vector<Bytes>&) {
  const KekRecord& record = transfer.record;
  const Approvals approvals = files_.get_approvals();
  const auto refuse = [&](errc cause, const char* reason) {
    throw Error(cause, {"take over", "KEK generation " + std::to_string(record.generation), reason});
  };
  if (record.protection != Protection::software) refuse(errc::impostor_kek, "It was made for TPMs.");
  if (!record.public_area.empty() || !record.birth.empty() || !transfer.seed.empty() || transfer.inner_key.size() != 0)
    refuse(errc::wrong_key, "It carries what only a KEK of a TPM has.");
  const Secret key =
      open_box(node_scalar(), transfer_context(approvals.cluster, approvals.node, record), transfer.duplicate);
  if (key.size() != key_size || software_kek_name(approvals.cluster, record.generation, key) != record.name)
    refuse(errc::impostor_kek, "It is not the key of that Name.");
  if (files_.is_held(record)) return;
  const Bytes context = box_context(approvals, record.generation);
  files_.add({record, seal_box(p256_point(node_scalar()), context, key), {}});
}

Digest SoftwareKekStore::prove(const KekRecord& record, const Digest& nonce) {
  const Approvals approvals = files_.get_approvals();
  return files_.judged_by(record.generation, [&] {
    const Opened opened = open(record.generation, approvals);
    if (opened.stored.record.name != record.name) impostor(record.generation);
    const Secret proof = hmac_sha256(opened.key, proof_digest(approvals.cluster, record.generation, nonce));
    Digest result{};
    std::ranges::copy(proof.view(), result.begin());
    return result;
  });
}

std::vector<KekRecord> SoftwareKekStore::held() const { return files_.records(); }

std::vector<Secret> SoftwareKekStore::group_keys(Generation generation, const std::vector<Uuid>& groups) {
  const Approvals approvals = files_.get_approvals();
  files_.require_trusted(generation);
  return group_hmacs(open(generation, approvals), approvals.cluster, groups);
}

std::vector<Secret> SoftwareKekStore::proved_group_keys(const KekRecord& record, const std::vector<Uuid>& groups) {
  const Approvals approvals = files_.get_approvals();
  return files_.judged_by(record.generation, [&] {
    const Opened opened = open(record.generation, approvals);
    if (opened.stored.record.name != record.name) impostor(record.generation);
    return group_hmacs(opened, approvals.cluster, groups);
  });
}

std::vector<Secret> SoftwareKekStore::group_hmacs(const Opened& opened, const Uuid& cluster,
                                                  const std::vector<Uuid>& groups) {
  std::vector<Secret> result;
  result.reserve(groups.size());
  for (const Uuid& group : groups) {
    result.push_back(hmac_sha256(opened.key, group_digest(cluster, group, opened.stored.record.generation)));
  }
  return result;
}

void SoftwareKekStore::destroy(Generation generation) { files_.destroy(generation); }

BootReport SoftwareKekStore::boot_report() { return {{}, {}, {}, true}; }

void SoftwareKekStore::lock() { node_scalar_.reset(); }

}  // namespace volcrypt::keys
