// The admin key's file: strict JSON, the scalar sealed by AES-256-GCM under scrypt's key, everything else
// authenticated; so neither purpose nor cluster of a file can be swapped. Declared in authority.hpp; format in
// README.md.
#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "agent/keys/authority.hpp"
#include "agent/keys/p256.hpp"
#include "agent/keys/passphrase.hpp"
#include "agent/keys/symmetric.hpp"
#include "agent/runtime/durable_file.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt::keys {
namespace {

namespace json = boost::json;

constexpr std::string_view format = "volcrypt admin key";
constexpr std::size_t limit = 4096;

std::string_view spelling(AdminKey::Purpose purpose) {
  return purpose == AdminKey::Purpose::authority ? "authority" : "recovery";
}

json::string_view view(std::string_view text) { return {text.data(), text.size()}; }

// scrypt's parameters are constants of format version 1, so its label stands for them.
Bytes authenticated(const AdminKeyFile& file) {
  return Canonical("volcrypt admin key v1")
      .add(spelling(file.purpose))
      .add(file.cluster)
      .add(file.point)
      .add(file.salt)
      .bytes();
}

GcmNonce nonce_of(const AdminKeyFile& file) {
  GcmNonce nonce{};
  std::copy_n(file.nonce.begin(), nonce.size(), nonce.begin());
  return nonce;
}

void read_kdf(MemberReader members) {
  const bool ours = members.text("name") == "scrypt" && members.number("n") == Scrypt::n &&
                    members.number("r") == Scrypt::r && members.number("p") == Scrypt::p;
  if (!ours) members.refuse("kdf", "Format version 1 has scrypt with N=131072, r=8, p=1 only.");
  members.finish();
}

}  // namespace

std::string to_json(const AdminKeyFile& file) {
  json::object object, kdf;
  object["format"] = view(format);
  object["version"] = 1;
  object["purpose"] = view(spelling(file.purpose));
  object["cluster"] = file.cluster.str();
  object["point"] = to_base64(file.point);
  kdf["name"] = "scrypt";
  kdf["n"] = Scrypt::n;
  kdf["r"] = Scrypt::r;
  kdf["p"] = Scrypt::p;
  object["kdf"] = std::move(kdf);
  object["salt"] = to_base64(file.salt);
  object["nonce"] = to_base64(file.nonce);
  object["sealed"] = to_base64(file.sealed);
  return json::serialize(object) + "\n";
}

AdminKeyFile parse_admin_key_file(std::string_view text) {
  static const JsonDocument document{"the admin key file", limit, 3, errc::token_malformed};
  const json::object object = parse_object(text, document);
  MemberReader members(object, document);
  if (members.text("format") != format) members.refuse("format", "It must be \"volcrypt admin key\".");
  if (const std::uint64_t version = members.number("version"); version != 1) {
    throw Error(errc::token_version, {"read", "an admin key file of format version " + std::to_string(version),
                                      "Use the volcrypt release that wrote it, or a newer one."});
  }
  AdminKeyFile file;
  const std::string_view purpose = members.text("purpose");
  file.purpose = purpose == "recovery" ? AdminKey::Purpose::recovery : AdminKey::Purpose::authority;
  if (purpose != spelling(file.purpose)) members.refuse("purpose", R"(It must be "authority" or "recovery".)");
  file.cluster = members.uuid("cluster");
  file.point = members.base64("point", p256_point_size);
  read_kdf(MemberReader(members.object("kdf"), document));
  file.salt = members.base64("salt", Scrypt::salt_size);
  file.nonce = members.base64("nonce", std::tuple_size_v<GcmNonce>);
  file.sealed = members.base64("sealed", p256_scalar_size + gcm_tag_size);
  members.finish();
  return file;
}

AdminKey AdminKey::open(const std::filesystem::path& path, const Secret& passphrase) {
  const auto content = runtime::read_file(path, limit);
  if (!content) {
    throw Error(errno_code(ENOENT),
                {"open the key file", path.string(), "Check its path; the file is kept by the administrators."});
  }
  const AdminKeyFile file = parse_admin_key_file({reinterpret_cast<const char*>(content->data()), content->size()});
  try {
    AdminKey key(file.purpose, file.cluster,
                 gcm_open(passphrase_key(passphrase, file.salt), nonce_of(file), authenticated(file), file.sealed));
    if (key.point_ != file.point) throw Error(errc::wrong_key, {"use", path.string(), ""});
    return key;
  } catch (const Error& error) {
    if (error.code() != errc::wrong_key) throw;
    throw Error(errc::wrong_passphrase, {"open the key file", path.string(), "Try again."});
  }
}

void AdminKey::save(const std::filesystem::path& path, const Secret& passphrase) const {
  AdminKeyFile file{purpose_, cluster_, point_, Bytes(Scrypt::salt_size), Bytes(std::tuple_size_v<GcmNonce>), {}};
  fill_random(file.salt);
  fill_random(file.nonce);
  file.sealed = gcm_seal(passphrase_key(passphrase, file.salt), nonce_of(file), authenticated(file), scalar_);
  runtime::create_durably(path, as_bytes(to_json(file)));
  // The only copy of a key that nothing can replace: it counts when it was opened again from the disk.
  if (!equals(open(path, passphrase).scalar_, scalar_)) {
    throw Error(errc::wrong_key,
                {"read back the key file", path.string(), "Check the memory and the disk; use another place."});
  }
}

}  // namespace volcrypt::keys
