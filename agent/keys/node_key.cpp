// The node key's file; see node_key.hpp. Bytes instead of JSON, because a plain key must not pass through a
// std::string.
#include "agent/keys/node_key.hpp"

#include <algorithm>
#include <array>

#include "agent/keys/passphrase.hpp"
#include "agent/keys/symmetric.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {
namespace {

constexpr std::string_view plain_line = "volcrypt node key 1 plain\n", sealed_line = "volcrypt node key 1 sealed\n";
constexpr std::size_t sealed_size = p256_scalar_size + gcm_tag_size;

class Cursor {
 public:
  explicit Cursor(ByteView bytes) : rest_(bytes) {}
  ByteView take(std::size_t size) {
    const ByteView part = rest_.first(size);
    rest_ = rest_.subspan(size);
    return part;
  }

 private:
  ByteView rest_;
};

[[noreturn]] void damaged(const KeptFile& file) {
  throw Error(errc::store_damaged, {"read", file.path().string(), "It is left as it is; restore it from a backup."});
}

bool starts_with(ByteView bytes, std::string_view line) {
  return bytes.size() > line.size() && std::ranges::equal(bytes.first(line.size()), as_bytes(line));
}

Bytes context_of(ByteView point, ByteView salt) {
  return Canonical("volcrypt node key v1").add(point).add(salt).bytes();
}

void store(KeptFile file, const P256Pair& key, const std::optional<Secret>& lock) {
  const std::string_view line = lock ? sealed_line : plain_line;
  Secret document(line.size() + p256_point_size +
                  (lock ? Scrypt::salt_size + std::tuple_size_v<GcmNonce> + sealed_size : p256_scalar_size));
  auto end = std::ranges::copy(key.point, std::ranges::copy(as_bytes(line), document.data()).out).out;
  if (lock) {
    std::array<std::uint8_t, Scrypt::salt_size> salt{};
    fill_random(salt);
    const GcmNonce nonce = random_nonce();
    const Bytes sealed = gcm_seal(passphrase_key(*lock, salt), nonce, context_of(key.point, salt), key.scalar);
    end = std::ranges::copy(sealed, std::ranges::copy(nonce, std::ranges::copy(salt, end).out).out).out;
  } else {
    std::ranges::copy(key.scalar.view(), end);
  }
  file.write(document.view());
}

Secret unseal(const KeptFile& file, Cursor& cursor, ByteView point, const std::optional<Secret>& lock) {
  const ErrorContext wrong{"unlock the node key", file.path().string(),
                           "Give the passphrase, or the credential volcrypt-node-key, that it was locked with."};
  if (!lock) throw Error(errc::wrong_passphrase, wrong);
  const ByteView salt = cursor.take(Scrypt::salt_size);
  GcmNonce nonce{};
  std::ranges::copy(cursor.take(nonce.size()), nonce.begin());
  try {
    return gcm_open(passphrase_key(*lock, salt), nonce, context_of(point, salt), cursor.take(sealed_size));
  } catch (const Error& error) {
    if (error.code() != errc::wrong_key) throw;
    throw Error(errc::wrong_passphrase, wrong);
  }
}

}  // namespace

P256Pair make_node_key(const KeptFile& file, const std::optional<Secret>& lock) {
  if (file.exists()) damaged(file);
  P256Pair key = generate_p256();
  store(file, key, lock);
  return key;
}

std::optional<P256Pair> open_node_key(const KeptFile& file, const std::optional<Secret>& lock) {
  const std::optional<Secret> document = file.read();
  if (!document) return std::nullopt;
  const ByteView bytes = document->view();
  const bool plain = starts_with(bytes, plain_line), sealed = starts_with(bytes, sealed_line);
  const std::size_t size =
      plain ? plain_line.size() + p256_point_size + p256_scalar_size
            : sealed_line.size() + p256_point_size + Scrypt::salt_size + std::tuple_size_v<GcmNonce> + sealed_size;
  if ((!plain && !sealed) || bytes.size() != size) damaged(file);

  Cursor cursor(bytes.subspan(plain ? plain_line.size() : sealed_line.size()));
  const ByteView stored_point = cursor.take(p256_point_size);
  P256Pair key{plain ? Secret::copy_of(cursor.take(p256_scalar_size)) : unseal(file, cursor, stored_point, lock),
               {stored_point.begin(), stored_point.end()}};
  if (p256_point(key.scalar) != key.point) damaged(file);
  if (plain && lock) store(file, key, lock);
  return key;
}

}  // namespace volcrypt::keys
