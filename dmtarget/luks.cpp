// LUKS2 through libcryptsetup, see luks.hpp. Every call gets a fresh context over a copy of the header in a memfd: the
// library never reads or writes a header on a device, it repairs nothing behind our back, and what it activates is what
// was checked. The library's own messages become part of the Error.
#include "dmtarget/luks.hpp"

#include <fcntl.h>
#include <keyutils.h>
#include <libcryptsetup.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "dmtarget/block_file.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/header_area.hpp"
#include "dmtarget/header_copies.hpp"
#include "dmtarget/header_facts.hpp"
#include "dmtarget/library_turn.hpp"
#include "dmtarget/name.hpp"
#include "dmtarget/signatures.hpp"

namespace volcrypt::dm {
namespace {

constexpr std::uint64_t bytes_per_unit = 512;         // libcryptsetup counts offsets in these
constexpr std::uint64_t wiped_at_end = 1024 * 1024;   // signatures of partition tables, RAID and others live there
constexpr std::uint64_t keyslots_size = 1024 * 1024;  // empty; a re-encryption keeps its journal there

// A header in memory that libcryptsetup takes for a plain file of the device's size (sparse: it costs what is written).
class MemoryHeader {
 public:
  explicit MemoryHeader(std::uint64_t device_size) : fd_(::memfd_create("volcrypt-header", MFD_CLOEXEC)) {
    if (!fd_ || ::ftruncate(fd_.get(), static_cast<off_t>(device_size)) != 0)
      throw Error(errno_code(errno), {"make", "a header in memory", ""});
  }
  MemoryHeader(std::uint64_t device_size, ByteView area) : MemoryHeader(device_size) {
    BlockFile(path(), BlockFile::Access::write).write(0, area);
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }
  Bytes area() const { return read_header_area(BlockFile(path(), BlockFile::Access::read)); }

 private:
  Fd fd_;
};

// One use of libcryptsetup: its turn with libdevmapper, its context, and what it said meanwhile.
class Library {
 public:
  // `data_device` is null unless the use is an activation.
  Library(const MemoryHeader& header, const char* data_device, std::string device) : device_(std::move(device)) {
    static std::once_flag set_up;
    std::call_once(set_up, [] {
      crypt_set_log_callback(
          nullptr, [](int, const char*, void*) {}, nullptr);
      crypt_token_external_disable();  // no plugin is loaded for the sake of our token type
    });
    crypt_device* made = nullptr;
    int failure = crypt_init_data_device(&made, header.path().c_str(), data_device);
    context_.reset(made);
    if (failure < 0) fail(failure, "open");
    crypt_set_log_callback(made, &Library::hear, this);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  crypt_device* get() const noexcept { return context_.get(); }

  void load() {
    int failure = crypt_load(get(), CRYPT_LUKS2, nullptr);
    if (failure < 0)
      throw Error(errc::header_changed,
                  {"open the header of", device_, said_ + "libcryptsetup refuses its metadata. Nothing was changed."});
  }

  std::string metadata() {
    const char* text = nullptr;
    int failure = crypt_dump_json(get(), &text, 0);
    if (failure < 0) fail(failure, "read the metadata of");
    return text;
  }

  // `code` is a negative errno.
  [[noreturn]] void fail(int code, const char* operation) const {
    throw Error(errno_code(-code), {operation, device_, said_});
  }

 private:
  static void hear(int level, const char* message, void* self) {
    if (level != CRYPT_LOG_ERROR) return;
    std::string text(message);
    std::replace(text.begin(), text.end(), '\n', ' ');
    static_cast<Library*>(self)->said_ += text.ends_with(' ') ? text : text + ' ';
  }

  LibraryTurn turn_;
  std::string device_;
  std::string said_;
  std::unique_ptr<crypt_device, FreeWith<&crypt_free>> context_;  // ends before the turn does
};

HeaderText text_of(const HeaderCopy& copy) { return {copy.json, copy.label, copy.subsystem, copy.uuid}; }

std::string header_restore(const std::string& device) {
  return "`volcryptctl header restore NAME --device " + device + "`";
}

[[noreturn]] void refuse_no_good_copy(const HeaderCopies& copies, ByteView area, const std::string& device) {
  if (all_zero(area))
    throw Error(errc::device_all_zero,
                {"open", device,
                 "The drive is blank or erased, or its path is ill and reads zeros; it is not touched. "
                 "If it held a volume, check the drive, then use " +
                     header_restore(device) + "."});
  if (looks_like_damaged_ours(copies, area))
    throw Error(errc::header_damaged,
                {"open", device, "Put the backup back with " + header_restore(device) + ". Nothing was changed."});
  throw Error(errc::not_ours, {"open", device, "Nothing was changed."});
}

void drop_key_from_keyring(const Uuid& volume) {
  // libcryptsetup 2.6 adds the key to the thread's keyring; dm-crypt has its own copy since the table was loaded.
  long key = ::keyctl_search(KEY_SPEC_THREAD_KEYRING, "logon", keyring_description(volume).c_str(), 0);
  if (key < 0) return;
  // Invalidate, not only unlink: whoever else holds a link loses the payload too.
  if (::keyctl_invalidate(static_cast<key_serial_t>(key)) != 0) ::keyctl_revoke(static_cast<key_serial_t>(key));
  ::keyctl_unlink(static_cast<key_serial_t>(key), KEY_SPEC_THREAD_KEYRING);
}

std::uint32_t activation_flags(const Description& description) {
  // Persistent flags in a header are refused by check_facts; the library is told to ignore them all the same.
  std::uint32_t flags = CRYPT_ACTIVATE_KEYRING_KEY | CRYPT_ACTIVATE_IGNORE_PERSISTENT;
  if (description.discards == Discards::passed_down) flags |= CRYPT_ACTIVATE_ALLOW_DISCARDS;
  if (description.workqueues == Workqueues::bypassed)
    flags |= CRYPT_ACTIVATE_NO_READ_WORKQUEUE | CRYPT_ACTIVATE_NO_WRITE_WORKQUEUE;
  return flags;
}

const char* as_chars(const Secret& key) { return reinterpret_cast<const char*>(key.data()); }

void format_in_memory(const MemoryHeader& header, const Token& token, const Secret& key, const std::string& device) {
  StackWiper wiper;
  Library library(header, nullptr, device);
  const std::string label = header_label(token.name);
  const std::string subsystem(header_subsystem);
  // The key is random: stretching it buys nothing and costs a tenth of a second at every attach.
  crypt_pbkdf_type pbkdf{};
  pbkdf.type = CRYPT_KDF_PBKDF2;
  pbkdf.hash = "sha256";
  pbkdf.iterations = 1000;
  pbkdf.flags = CRYPT_PBKDF_NO_BENCHMARK;
  crypt_params_luks2 parameters{};
  parameters.pbkdf = &pbkdf;
  parameters.sector_size = token.description.sector_size;
  parameters.label = label.c_str();
  parameters.subsystem = subsystem.c_str();

  int failure = crypt_set_pbkdf_type(library.get(), &pbkdf);
  if (failure >= 0) failure = crypt_set_metadata_size(library.get(), header_copy_size, keyslots_size);
  if (failure >= 0) failure = crypt_set_data_offset(library.get(), token.description.data_offset / bytes_per_unit);
  if (failure >= 0)
    failure = crypt_format(library.get(), CRYPT_LUKS2, "aes", "xts-plain64", token.volume.str().c_str(), as_chars(key),
                           key.size(), &parameters);
  if (failure >= 0) failure = crypt_token_json_set(library.get(), CRYPT_ANY_TOKEN, to_json(token).c_str());
  if (failure < 0) library.fail(failure, "make a header for");
}

void check_can_format(const std::string& device, std::uint64_t size, const Token& token, const Secret& key) {
  const Description& told = token.description;
  auto refuse = [&device](const std::string& why) { throw Error(errc::invalid_argument, {"format", device, why}); };
  if (told.cipher != Description{}.cipher || told.key_bytes != volume_key_size || key.size() != volume_key_size)
    refuse("This release makes volumes with " + Description{}.cipher + " and 64-byte keys only.");
  if (told.reencrypting) refuse("A new volume is not being re-encrypted.");
  if (told.data_offset % wiped_at_end != 0 || told.data_offset < 2 * wiped_at_end)
    refuse("The data offset must be a multiple of 1 MiB, from 2 MiB on.");
  if (size < told.data_offset + wiped_at_end)
    refuse("It needs at least " + std::to_string((told.data_offset + wiped_at_end) >> 20) + " MiB.");
  if (size % told.sector_size != 0) refuse("Its size is not a multiple of the sector size.");
}

}  // namespace

struct LuksHeader::State {
  std::string device;
  std::uint64_t device_size = 0;
  bool is_on_device = false;
  Bytes found;  // as it was read
  Bytes area;   // the same with both copies good
  OurHeader header;
};

void LuksHeader::Free::operator()(State* state) const noexcept { delete state; }

LuksHeader::LuksHeader(std::unique_ptr<State, Free> state) : state_(std::move(state)) {}

LuksHeader LuksHeader::from_bytes(ByteView area, std::uint64_t device_size, const std::string& name) {
  HeaderCopies copies = read_header_copies(area);
  if (!copies.any_good()) refuse_no_good_copy(copies, area, name);
  // A header that is not ours never reaches the library.
  std::uint64_t data_offset = parse_our_header(text_of(copies.newest()), name).token.description.data_offset;
  if (device_size <= data_offset)
    throw Error(errc::device_unreadable, {"open", name, "It is shorter than its header says: cut, or an ill path."});

  std::unique_ptr<State, Free> state(new State);
  state->device = name;
  state->device_size = device_size;
  state->found = Bytes(area.begin(), area.end());
  state->area = copies.both_good() ? Bytes(area.begin(), area.end()) : with_both_copies_from_newest(area);

  // The library's view is the one that counts: it is what gets activated.
  MemoryHeader memory(device_size, state->area);
  Library library(memory, nullptr, name);
  library.load();
  HeaderText text{library.metadata(), "", "", ""};
  if (const char* label = crypt_get_label(library.get())) text.label = label;
  if (const char* subsystem = crypt_get_subsystem(library.get())) text.subsystem = subsystem;
  if (const char* uuid = crypt_get_uuid(library.get())) text.uuid = uuid;
  state->header = parse_our_header(text, name);
  if (!copies.both_good()) state->header.facts.copies = HeaderFacts::Copies::one_damaged;
  return LuksHeader(std::move(state));
}

LuksHeader LuksHeader::open(const std::string& device) {
  BlockFile file(device, BlockFile::Access::read);
  const Bytes found = read_header_area(file);
  LuksHeader header = from_bytes(found, file.size(), device);
  header.state_->is_on_device = true;
  if (header.facts().copies == HeaderFacts::Copies::both_good) return header;

  for (const std::string& signature : find_signatures(device))
    if (signature != "crypto_LUKS")
      throw Error(errc::device_not_blank,
                  {"open", device,
                   "One copy of its header was overwritten and the device now carries: " + signature +
                       ". If it is still a volume, "
                       "remove that signature with wipefs and try again. Nothing was changed."});
  return header;
}

LuksHeader LuksHeader::format(const std::string& device, const Token& token, const Secret& volume_key) {
  BlockFile file(device, BlockFile::Access::write);
  check_can_format(device, file.size(), token, volume_key);
  MemoryHeader memory(file.size());
  format_in_memory(memory, token, volume_key, device);
  LuksHeader header = from_bytes(memory.area(), file.size(), device);
  header.check_description();
  header.verify_volume_key(volume_key);

  file.zero(0, token.description.data_offset);
  file.zero(file.size() - wiped_at_end, wiped_at_end);
  file.sync();
  write_first_header_area(file, header.bytes());
  header.state_->is_on_device = true;
  return header;
}

const HeaderFacts& LuksHeader::facts() const noexcept { return state_->header.facts; }
const Token& LuksHeader::token() const noexcept { return state_->header.token; }
const Bytes& LuksHeader::bytes() const noexcept { return state_->area; }

void LuksHeader::check_description() const { check_facts(facts(), token(), state_->device); }

void LuksHeader::replace_token(const Token& token) {
  if (facts().copies == HeaderFacts::Copies::one_damaged)
    throw Error(errc::header_damaged, {"write the header of", state_->device,
                                       "One copy is damaged and was not repaired yet; the other is not risked."});
  MemoryHeader memory(state_->device_size, state_->area);
  {
    Library library(memory, nullptr, state_->device);
    library.load();
    int failure = crypt_token_json_set(library.get(), state_->header.token_slot, to_json(token).c_str());
    if (failure < 0) library.fail(failure, "replace the token of");
  }
  LuksHeader changed = from_bytes(memory.area(), state_->device_size, state_->device);
  changed.check_description();
  if (state_->is_on_device) {
    BlockFile file(state_->device, BlockFile::Access::write);
    replace_header_area(file, state_->area, changed.bytes());
  }
  state_->found = state_->area = changed.bytes();
  state_->header = changed.state_->header;
}

void LuksHeader::repair() {
  if (!state_->is_on_device)
    throw Error(errc::invalid_argument, {"repair", state_->device, "It is a header without its device."});
  if (facts().copies == HeaderFacts::Copies::both_good) return;
  BlockFile file(state_->device, BlockFile::Access::write);
  replace_header_area(file, state_->found, state_->area);
  state_->found = state_->area;
  state_->header.facts.copies = HeaderFacts::Copies::both_good;
}

void LuksHeader::verify_volume_key(const Secret& volume_key) const {
  StackWiper wiper;
  MemoryHeader memory(state_->device_size, state_->area);
  Library library(memory, nullptr, state_->device);
  library.load();
  int failure = crypt_volume_key_verify(library.get(), as_chars(volume_key), volume_key.size());
  if (failure == -EPERM || failure == -EINVAL)
    throw Error(errc::wrong_key, {"open", state_->device, "The key is not the one this header was made with."});
  if (failure < 0) library.fail(failure, "verify the key of");
}

void LuksHeader::activate(const std::string& mapping_name, const Secret& volume_key) {
  StackWiper wiper;
  if (!state_->is_on_device)
    throw Error(errc::invalid_argument, {"activate", state_->device, "It is a header without its device."});
  verify_volume_key(volume_key);
  MemoryHeader memory(state_->device_size, state_->area);
  Library library(memory, state_->device.c_str(), state_->device);
  library.load();
  Undo drop_key([volume = facts().uuid]() noexcept { drop_key_from_keyring(volume); });
  const UdevWait wait(mapping_name);
  int failure = crypt_activate_by_volume_key(library.get(), mapping_name.c_str(), as_chars(volume_key),
                                             volume_key.size(), activation_flags(token().description));
  if (failure == -EEXIST)
    throw Error(errc::name_taken, {"attach", mapping_path(mapping_name), "Detach the mapping of that name first."});
  if (failure == -EBUSY)
    throw Error(errc::device_busy, {"attach", state_->device, "It is mounted, mapped or claimed by another program."});
  if (failure < 0) library.fail(failure, "attach");
}

}  // namespace volcrypt::dm
