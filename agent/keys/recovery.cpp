// Recovery blobs: sealing the software ones, opening both kinds; see recovery.hpp.
#include "agent/keys/recovery.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <memory>

#include "agent/keys/box.hpp"
#include "agent/keys/dek_wrap.hpp"
#include "agent/keys/documents.hpp"
#include "agent/keys/software_kek_store.hpp"
#include "agent/keys/symmetric.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "agent/keys/tpm_duplicate.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt::keys {
namespace {

namespace json = boost::json;

constexpr std::string_view bundle_format = "volcrypt recovery bundle";
constexpr std::size_t bundle_limit = 1024 * 1024, most_blobs = 1024, name_size = 34;

[[noreturn]] void wrong(Generation generation) {
  throw Error(errc::wrong_key, {"open the recovery blob of", "KEK generation " + std::to_string(generation),
                                "It is for another recovery key, or was changed; try another copy of the bundle."});
}

Bytes context(std::string_view label, const Uuid& cluster, Generation generation, ByteView name) {
  return Canonical(label).add(cluster).add(generation).add(name).bytes();
}

constexpr std::string_view inner_label = "volcrypt recovery inner key v1",
                           software_label = "volcrypt recovery software kek v1";

// unique of a keyed hash object: SHA256(seed value || key). Part 1, section 27.5.3.2.
Digest unique_of(const OpenedDuplicate& opened) {
  const std::unique_ptr<EVP_MD_CTX, FreeWith<&EVP_MD_CTX_free>> hash(EVP_MD_CTX_new());
  Digest unique{};
  if (!hash || EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) != 1 ||
      EVP_DigestUpdate(hash.get(), opened.seed_value.data(), opened.seed_value.size()) != 1 ||
      EVP_DigestUpdate(hash.get(), opened.key.data(), opened.key.size()) != 1 ||
      EVP_DigestFinal_ex(hash.get(), unique.data(), nullptr) != 1) {
    throw Error(errc::wrong_state, {"hash", "a KEK", "Check the memory and the OpenSSL 3 installation."});
  }
  return unique;
}

// The public area is ours only if nothing but policy and unique varies, and unique comes from this very key.
void require_name(const RecoveryBlob& blob, const OpenedDuplicate& opened) {
  constexpr std::size_t policy_at = 10;  // type, nameAlg, attributes, size of the policy
  if (tpm_name(blob.public_area) != blob.name || blob.public_area.size() < policy_at + 32) wrong(blob.generation);
  Digest policy{};
  std::copy_n(blob.public_area.begin() + policy_at, policy.size(), policy.begin());
  if (kek_public_area(unique_of(opened), policy) != blob.public_area) wrong(blob.generation);
}

Secret open_tpm(const RecoveryBlob& blob, const AdminKey& recovery_key, const Uuid& cluster) {
  const Secret& scalar = recovery_key.leak_scalar();
  const Secret inner_key = open_box(scalar, context(inner_label, cluster, blob.generation, blob.name), blob.inner_key);
  OpenedDuplicate opened = open_duplicate({blob.duplicate, blob.seed, blob.name}, scalar, inner_key);
  require_name(blob, opened);
  return std::move(opened.key);
}

Secret open_software(const RecoveryBlob& blob, const AdminKey& recovery_key, const Uuid& cluster) {
  Bytes box = blob.seed;
  box.insert(box.end(), blob.duplicate.begin(), blob.duplicate.end());
  Secret key = open_box(recovery_key.leak_scalar(), context(software_label, cluster, blob.generation, blob.name), box);
  const bool right = key.size() == key_size && software_kek_name(cluster, blob.generation, key) == blob.name;
  if (!right) wrong(blob.generation);
  return key;
}

json::object object_of(const RecoveryBlob& blob) {
  const std::string_view protection = spelling(blob.protection);
  json::object object;
  object["generation"] = std::to_string(blob.generation);
  object["protection"] = json::string_view(protection.data(), protection.size());
  object["name"] = to_base64(blob.name);
  object["duplicate"] = to_base64(blob.duplicate);
  object["public_area"] = to_base64(blob.public_area);
  object["seed"] = to_base64(blob.seed);
  object["inner_key"] = to_base64(blob.inner_key);
  return object;
}

RecoveryBlob blob_of(const json::object& object, const JsonDocument& document) {
  MemberReader members(object, document);
  RecoveryBlob blob;
  blob.generation = members.decimal_string("generation");
  blob.protection = read_protection(members, "protection");
  blob.name = members.base64("name", name_size);
  blob.duplicate = members.base64("duplicate");
  blob.public_area = members.base64("public_area");
  blob.seed = members.base64("seed");
  blob.inner_key = members.base64("inner_key");
  if (blob.generation == 0) members.refuse("generation", "Generations start at 1.");
  members.finish();
  return blob;
}

}  // namespace

RecoveredKek::RecoveredKek(Generation generation, Secret key) : generation_(generation), key_(std::move(key)) {}

RecoveredKek RecoveredKek::open(const RecoveryBlob& blob, const AdminKey& recovery_key, const Uuid& cluster) {
  if (recovery_key.purpose() != AdminKey::Purpose::recovery) {
    throw Error(errc::invalid_argument,
                {"open a recovery blob with", "the authority's key", "Give the recovery key file."});
  }
  if (recovery_key.cluster() != cluster) {
    throw Error(errc::wrong_cluster, {"open the KEKs of cluster " + cluster.str() + " with", "this recovery key",
                                      "It belongs to cluster " + recovery_key.cluster().str() + "."});
  }
  const bool tpm = blob.protection == Protection::tpm;
  try {
    return {blob.generation, tpm ? open_tpm(blob, recovery_key, cluster) : open_software(blob, recovery_key, cluster)};
  } catch (const Error& error) {
    if (error.code() != errc::wrong_key) throw;
    wrong(blob.generation);  // the same words whichever layer noticed
  }
}

Secret RecoveredKek::group_key(const Uuid& cluster, const Uuid& group) const {
  return hmac_sha256(key_, group_digest(cluster, group, generation_));
}

Bytes seal_inner_key(ByteView recovery_point, const Uuid& cluster, Generation generation, ByteView kek_name,
                     const Secret& inner_key) {
  return seal_box(recovery_point, context(inner_label, cluster, generation, kek_name), inner_key);
}

RecoveryBlob seal_software_kek(ByteView recovery_point, const Uuid& cluster, const KekRecord& record,
                               const Secret& kek) {
  const Bytes box = seal_box(recovery_point, context(software_label, cluster, record.generation, record.name), kek);
  RecoveryBlob blob;
  blob.generation = record.generation;
  blob.protection = Protection::software;
  blob.name = record.name;
  blob.seed.assign(box.begin(), box.begin() + p256_point_size);
  blob.duplicate.assign(box.begin() + p256_point_size, box.end());
  return blob;
}

std::string to_json(const RecoveryBundle& bundle) {
  if (bundle.blobs.size() > most_blobs) {
    throw Error(errc::limit_exceeded,
                {"write", "a recovery bundle of more than 1024 blobs", "Retire old generations first."});
  }
  json::object object;
  object["format"] = json::string_view(bundle_format.data(), bundle_format.size());
  object["version"] = 1;
  object["cluster"] = bundle.cluster.str();
  json::array blobs;
  for (const RecoveryBlob& blob : bundle.blobs) blobs.emplace_back(object_of(blob));
  object["blobs"] = std::move(blobs);
  return json::serialize(object) + "\n";
}

RecoveryBundle parse_recovery_bundle(std::string_view text) {
  static const JsonDocument document{"the recovery bundle", bundle_limit, 4, errc::token_malformed};
  const json::object object = parse_object(text, document);
  MemberReader members(object, document);
  if (members.text("format") != bundle_format) members.refuse("format", "It must be \"volcrypt recovery bundle\".");
  if (const std::uint64_t version = members.number("version"); version != 1) {
    throw Error(errc::token_version, {"read", "a recovery bundle of format version " + std::to_string(version),
                                      "Use the volcrypt release that wrote it, or a newer one."});
  }
  RecoveryBundle bundle;
  bundle.cluster = members.uuid("cluster");
  const json::array& blobs = members.array("blobs");
  if (blobs.size() > most_blobs) members.refuse("blobs", "At most 1024 are allowed.");
  for (const json::value& value : blobs) {
    if (!value.is_object()) members.refuse("blobs", "It must be an array of objects.");
    bundle.blobs.push_back(blob_of(value.get_object(), document));
    const Generation newest = bundle.blobs.back().generation;
    const bool twice = std::ranges::count(bundle.blobs, newest, &RecoveryBlob::generation) > 1;
    if (twice) members.refuse("blobs", "Generation " + std::to_string(newest) + " is there twice.");
  }
  members.finish();
  return bundle;
}

}  // namespace volcrypt::keys
