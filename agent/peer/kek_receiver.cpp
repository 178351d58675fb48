// See kek_receiver.hpp.
#include "agent/peer/kek_receiver.hpp"

#include <algorithm>

#include "agent/keys/box.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt::peer {
namespace {

using keys::KekRecord;
using keys::KekStore;

constexpr std::chrono::minutes parcel_life{1};
constexpr std::size_t most_parcels = 16;  // of all members; a coordinator sends one generation after the other

std::string named(const KekRecord& record) { return "KEK generation " + std::to_string(record.generation); }

bool is_same(const KekRecord& left, const KekRecord& right) {
  return left.generation == right.generation && left.protection == right.protection && left.name == right.name &&
         left.public_area == right.public_area && left.birth == right.birth && left.trust_epoch == right.trust_epoch;
}

bool is_held(const KekStore& store, const KekRecord& record) {
  return std::ranges::any_of(store.held(), [&](const KekRecord& held) { return is_same(held, record); });
}

}  // namespace

Bytes parcel_context(const Uuid& from, const KekRecord& record) {
  return Canonical("volcrypt kek parcel v1")
      .add(from)
      .add(record.generation)
      .add(record.trust_epoch)
      .add(record.name)
      .bytes();
}

keys::Keyring& KekReceiver::keyring_for(const KekRecord& record) {
  if (keys_.choice() && *keys_.choice() != record.protection)
    throw Error(errc::wrong_state,
                {"take over", named(record), "It is of the protection that this cluster did not choose."});
  return keys_.of(record.protection);
}

asio::awaitable<void> KekReceiver::check_recorded(KekRecord record) {
  const std::optional<KekRecord> recorded = co_await records_(record.generation);
  if (!recorded || !is_same(*recorded, record))
    throw Error(
        errc::wrong_generation,
        {"use", named(record), "The cluster's store has no such record of it: it was aborted, or is somebody's own."});
}

void KekReceiver::forget_old_parcels() {
  const auto now = std::chrono::steady_clock::now();
  parcels_.remove_if([now](const Parcel& parcel) { return parcel.until < now; });
}

asio::awaitable<OfferAnswer> KekReceiver::offered(KekOffer offer, Uuid from) {
  co_await check_recorded(offer.record);
  const auto look = [record = offer.record](KekStore& store) { return is_held(store, record); };
  if (co_await keyring_for(offer.record).with("look for " + named(offer.record), look)) co_return OfferAnswer{};
  // Of the newest offer by a member only: what was offered before and never came is void.
  parcels_.remove_if(
      [&](const Parcel& parcel) { return parcel.generation == offer.record.generation && parcel.from == from; });
  forget_old_parcels();
  while (parcels_.size() >= most_parcels) parcels_.pop_front();
  parcels_.push_back(
      {offer.record.generation, from, keys::generate_p256(), std::chrono::steady_clock::now() + parcel_life});
  co_return OfferAnswer{parcels_.back().key.point};
}

asio::awaitable<void> KekReceiver::delivered(KekDelivery delivery, Uuid from, CurrentRoster roster) {
  const KekRecord record = delivery.transfer.record;
  co_await check_recorded(record);
  forget_old_parcels();
  const auto found = std::ranges::find_if(
      parcels_, [&](const Parcel& parcel) { return parcel.generation == record.generation && parcel.from == from; });
  if (found == parcels_.end())
    throw Error(errc::wrong_state,
                {"take over", named(record), "It was not offered within the last minute: offer it again."});
  const keys::P256Pair key = std::move(found->key);
  parcels_.erase(found);  // for one delivery, whatever comes of it
  if (!delivery.parcel.empty())
    delivery.transfer.inner_key = keys::open_box(key.scalar, parcel_context(from, record), delivery.parcel);
  // The keyring may call it twice: the transfer, which has a Secret, is shared.
  const auto transfer = std::make_shared<const keys::KekTransfer>(std::move(delivery.transfer));
  const auto do_import = [transfer, makers = roster->attestation_keys()](KekStore& store) {
    store.import(*transfer, makers);
  };
  co_await keyring_for(record).with("take over " + named(record), do_import);
  // Let go while it was on its way: whoever destroys it everywhere may have been here before it came.
  std::optional<Error> gone;
  try {
    co_await check_recorded(record);
  } catch (const Error& error) {
    if (error.code() == errc::wrong_generation) gone = error;  // else nobody knows, and it stays
  }
  if (!gone) co_return;
  const auto do_destroy = [generation = record.generation](KekStore& store) { store.destroy(generation); };
  co_await keyring_for(record).with("destroy " + named(record), do_destroy);
  throw Error(*gone);
}

asio::awaitable<ProofAnswer> KekReceiver::asked(ProofRequest request) {
  co_await check_recorded(request.record);
  const auto do_prove = [request](KekStore& store) { return store.prove(request.record, request.nonce); };
  const Digest proof = co_await keyring_for(request.record).with("prove " + named(request.record), do_prove);
  co_return ProofAnswer{proof};
}

}  // namespace volcrypt::peer
