// Boxes to P-256 keys; see box.hpp.
#include "agent/keys/box.hpp"

#include "agent/keys/symmetric.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::keys {
namespace {

// Each box has an ephemeral key of its own, so its AES key is used once and the nonce may be constant.
constexpr GcmNonce only_nonce{};

Secret box_key(const Secret& shared, ByteView ephemeral, ByteView recipient, ByteView context) {
  return hkdf_sha256(shared, Canonical("volcrypt box v1").add(ephemeral).add(recipient).add(context).bytes());
}

}  // namespace

Bytes seal_box(ByteView recipient_point, ByteView context, const Secret& secret) {
  const P256Pair ephemeral = generate_p256();
  const Secret shared = p256_shared_x(ephemeral.scalar, recipient_point);
  const Secret key = box_key(shared, ephemeral.point, recipient_point, context);
  Bytes box = ephemeral.point;
  const Bytes sealed = gcm_seal(key, only_nonce, context, secret);
  box.insert(box.end(), sealed.begin(), sealed.end());
  return box;
}

Secret open_box(const Secret& recipient_scalar, ByteView context, ByteView box) {
  const Error wrong(errc::wrong_key, {"open", "a box", "It is for another key, for another use, or was changed."});
  if (box.size() < p256_point_size + gcm_tag_size) throw wrong;
  const ByteView ephemeral = box.first(p256_point_size);
  try {
    require_p256_point(ephemeral);
  } catch (const Error&) {
    throw wrong;  // a changed point is one more way to be changed
  }
  const Secret shared = p256_shared_x(recipient_scalar, ephemeral);
  const Secret key = box_key(shared, ephemeral, p256_point(recipient_scalar), context);
  return gcm_open(key, only_nonce, context, box.subspan(p256_point_size));
}

}  // namespace volcrypt::keys
