// LUKS2 headers through libcryptsetup, on a block device or a plain file; the only user of libcryptsetup.
// Deals with headers, our token, the volume key's digest and activation; decides nothing about KEKs or policy.
// Blocking: call from a device worker. libcryptsetup is not thread-safe: calls are serialised inside.
// Source: LUKS2 on-disk specification 1.1; LUKS.md figures in this folder's README.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "dmtarget/secret.hpp"
#include "dmtarget/token.hpp"

namespace volcrypt::dm {

// What the header itself says, before anything is authenticated.
struct HeaderFacts {
  Uuid uuid;
  std::string label, subsystem;
  Description description;   // as the header's segment, digest and requirements have it
  std::uint32_t keyslots = 0;  // ours have none
  std::uint32_t segments = 0;  // ours have one
  enum class Copies { both_good, one_repaired, one_damaged } copies = Copies::both_good;  // state of the two header copies when opened
};

class LuksHeader {
 public:
  // Reads and checks both header copies. Throws Error: errc::not_ours (blank, no LUKS2, other subsystem, no token of
  // ours), errc::device_unreadable (I/O error, short device), errc::header_damaged (both copies bad), token errors.
  // If one copy is damaged it is repaired from the other, and facts().copies tells.
  static LuksHeader open(const std::string& device);

  // Writes a new header over whatever is there (the caller has done every refusal, see volume.hpp) with the volume key
  // and a token. `token.description` decides sector size, offset and flags.
  static LuksHeader format(const std::string& device, const Token& token, const Secret& volume_key);

  const HeaderFacts& facts() const noexcept;
  const Token& token() const noexcept;

  // Refuses (errc::header_changed) a header whose facts differ from its token: UUID, label, cipher, sizes, offset,
  // keyslots, segments, requirements.
  void check_description() const;

  // One header write (two copies, two fsyncs). On failure the old or the new token is there; reopen to see which.
  void replace_token(const Token& token);

  // Key goes to the kernel keyring and is dropped from it once the mapping has it. errc::wrong_key if the digest says no.
  void activate(const std::string& mapping_name, const Secret& volume_key);
  void verify_volume_key(const Secret& volume_key) const;

 private:
  struct State;
  struct Free { void operator()(State*) const noexcept; };
  explicit LuksHeader(std::unique_ptr<State, Free> state);
  std::unique_ptr<State, Free> state_;
};

}  // namespace volcrypt::dm
