// LUKS2 headers through libcryptsetup, on a block device or a plain file; the only user of libcryptsetup.
// Deals with headers, our token, the volume key's digest and activation; decides nothing about KEKs or policy.
// Blocking: call from a device worker. libcryptsetup is not thread-safe: its calls are serialised inside; it works on
// copies of headers in memory, so that a device that hangs never holds the others up (activation excepted).
// Source: LUKS2 on-disk specification 1.1; figures in this folder's README.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dmtarget/secret.hpp"
#include "dmtarget/token.hpp"

namespace volcrypt::dm {

// What the header itself says, before anything is authenticated.
struct HeaderFacts {
  Uuid uuid;
  std::string label, subsystem;
  // As the header's segment, digest and requirements have it. A header without keyslots says nothing of key size,
  // discards and workqueues: these three are the token's.
  Description description;
  std::uint32_t keyslots = 0;                                               // ours have none
  std::uint32_t segments = 0;                                               // ours have one
  enum class Copies { both_good, one_damaged } copies = Copies::both_good;  // when opened
  // Everything else that a header of ours never has, each in words ("a requirement: online-reencrypt-v2").
  std::vector<std::string> oddities;
};

class LuksHeader {
 public:
  // Reads and checks both header copies; writes nothing, whatever it finds. Throws Error: errc::not_ours (no LUKS2,
  // other subsystem, no token of ours), errc::device_all_zero, errc::device_unreadable (I/O error, short device),
  // errc::header_damaged (both copies bad), errc::device_not_blank (one copy was overwritten by another format), token
  // errors. If one copy is damaged, the other counts, and facts().copies tells.
  static LuksHeader open(const std::string& device);

  // The same for a header that is not on a device, as a backup. `name` is for error texts. replace_token changes
  // bytes() only; activate and repair are refused.
  static LuksHeader from_bytes(ByteView area, std::uint64_t device_size, const std::string& name);

  // Writes a new header over whatever is there (the caller has done every refusal, see volume.hpp) with the volume key
  // and a token. `token.description` decides sector size, offset and flags. Zeroes everything before the data, and the
  // last MiB. The header is finished and opened in memory first: at a crash the device has no header, or a whole one.
  static LuksHeader format(const std::string& device, const Token& token, const Secret& volume_key);

  const HeaderFacts& facts() const noexcept;
  const Token& token() const noexcept;
  const Bytes& bytes() const noexcept;  // both copies, as on the device

  // Refuses (errc::header_changed) a header whose facts differ from its token: UUID, label, cipher, sizes, offset,
  // keyslots, segments, requirements.
  void check_description() const;

  // One header write (two copies, two fsyncs, read back). On failure the old or the new token is there; reopen to see
  // which. errc::conflict: the header on the device is not the one that was opened; nothing was written.
  // errc::header_damaged: one copy is damaged; repair it first.
  void replace_token(const Token& token);

  // Writes the damaged copy again from the good one, and reads both back. For a header that was proved with its volume
  // key (dm::repair_header): a forged copy may be the newer one. Errors as of replace_token; the good copy is not
  // written.
  void repair();

  // Key goes to the kernel keyring and is dropped from it once the mapping has it. errc::wrong_key if the digest says
  // no.
  void activate(const std::string& mapping_name, const Secret& volume_key);
  void verify_volume_key(const Secret& volume_key) const;

 private:
  struct State;
  struct Free {
    void operator()(State*) const noexcept;
  };
  explicit LuksHeader(std::unique_ptr<State, Free> state);
  std::unique_ptr<State, Free> state_;
};

}  // namespace volcrypt::dm
