// Live mappings: list, state, suspend, resume, rename, remove, through dm tasks of our own (task.hpp).
// Knows nothing of LUKS headers or keys. Blocking: call from a device worker.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dmtarget/uuid.hpp"

namespace volcrypt::dm {

enum class Liveness { active, suspended };

struct Mapping {
  std::string name;
  std::string uuid;                  // device-mapper UUID text, may be empty
  dev_t device = 0;                  // of /dev/mapper/NAME
  std::optional<Liveness> liveness;  // empty: unknown (the query failed); never rounded to one of the two
  std::uint32_t open_count = 0;
  std::uint64_t sectors = 0;  // 512-byte sectors; 0 when there is no live table
  std::vector<dev_t> under;   // the devices it maps to
  bool has_table = false;     // false: half-made, a leftover that nobody can use
  bool is_leaving = false;    // its removal was asked for: it goes when its last user closes it
};

std::vector<Mapping> list_mappings();                          // every mapping of the machine
std::optional<Mapping> find_mapping(const std::string& name);  // empty: certainly absent; throws when unknown

// The live table line of a crypt mapping. Key material is never in it: a line whose key is not a keyring reference
// (":SIZE:logon:DESCRIPTION") is refused with Error(errc::unknown_outcome).
std::string table_of(const std::string& name);

void suspend(const std::string& name);
void resume(const std::string& name);
void rename(const std::string& from, const std::string& to);

enum class Removal { removed, deferred, was_absent };  // removed: the devices below and the key are let go of, too
// In-use mappings are removed when their last user closes (deferred). Never forces a busy mapping away.
Removal remove_mapping(const std::string& name);
// For a mapping on a dead path: asks for the removal, and if it is in use replaces its table by "error", so that I/O
// which waits in the mapping ends. I/O that the device below neither answers nor refuses cannot be taken back: then
// this waits (the caller has a deadline), holds up no other mapping, and the removal stays asked for.
Removal remove_dead_mapping(const std::string& name);

}  // namespace volcrypt::dm
