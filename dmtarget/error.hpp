// Errors of volcrypt: our own causes (errc), and the one exception type that carries a cause, the operation that
// failed, the object it failed on, and the way out for the operator. Causes of other kinds keep their own category:
// errno for libdevmapper and libcryptsetup (generic_category), TSS2_RC in agent/keys/tpm. Any thread.
#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <boost/system/system_error.hpp>
#include <string>
#include <string_view>

namespace volcrypt {

// Our own causes. The numbers are part of no interface; the names (errc_name) are: they stand in JSON and metrics.
enum class errc {
  invalid_argument = 1,  // the request itself is wrong: a name, an option, a document
  no_lockable_memory,    // RLIMIT_MEMLOCK is too small for secrets
  not_ours,              // no volcrypt header: blank, foreign LUKS, another format
  device_unreadable,     // short, failing, or missing read: never to be taken for "empty"
  device_all_zero,       // the header area reads as zeros: blank, erased, or an ill path; never "empty"
  device_busy,           // mounted, held by another mapping, or opened exclusively elsewhere
  device_not_blank,      // carries data or a signature, and erasing was not asked for
  header_damaged,        // both header copies fail their checks
  header_changed,        // header and authenticated description disagree
  token_malformed,       // token JSON is not exactly our spelling
  token_version,         // token or record of a format version that this build does not know
  wrong_cluster,         // header of another volcrypt cluster
  wrong_generation,      // generation that this node does not hold, or that was retired
  wrong_key,             // authentication failed: other KEK, or altered data
  duplicate_volume,      // two drives carry the same volume UUID
  name_taken,            // a mapping, volume or file of that name exists and is something else
  no_such_volume,
  not_attached,
  already_exists,
  wrong_state,     // the cluster's or the volume's state does not allow it (not enabled, rotation running...)
  conflict,        // compare-and-set lost against another writer
  sealed_out,      // the TPM refuses: PCRs differ from every approved state
  tpm_cleared,     // the TPM does not know our storage key any more: cleared, or another TPM
  tpm_absent,      // no TPM answers
  tpm_unsuitable,  // lacks a needed command or algorithm
  impostor_kek,    // a KEK's Name differs from the one on record
  bad_signature,   // not signed by the cluster's authority
  wrong_passphrase,
  too_old,         // an older document than the newest seen
  limit_exceeded,  // an input or queue is over its limit
  timed_out,
  store_damaged,    // the store's content is unreadable; the file is left as it is
  unknown_outcome,  // neither done nor undone for certain: look before you act
  peer_refused,
};

const boost::system::error_category& volcrypt_category() noexcept;
boost::system::error_code make_error_code(errc code) noexcept;

// The stable name of our cause, as in "sealed_out"; for codes of other categories "errno", "tpm" and the like.
std::string errc_name(const boost::system::error_code& code);

// errno as an error_code.
boost::system::error_code errno_code(int number) noexcept;

// Text from outside as it may stand in an error: in double quotes, at most 64 characters, anything but printable ASCII
// as '?', so that a drive or a peer cannot write control sequences to a terminal or a journal.
std::string quoted(std::string_view untrusted);

// What an Error says beside its cause. `operation` is a verb phrase ("load the token"), `object` what it was done to
// ("/dev/vdb"), `way_out` a full sentence for the operator, or empty.
struct ErrorContext {
  std::string operation;
  std::string object;
  std::string way_out;
};

// Thrown when the world broke. what() reads: "cannot OPERATION OBJECT: CAUSE. WAY OUT".
class Error : public boost::system::system_error {
 public:
  Error(boost::system::error_code cause, ErrorContext context);
  Error(errc cause, ErrorContext context);

  const char* what() const noexcept override { return text_.c_str(); }
  const std::string& operation() const noexcept { return context_.operation; }
  const std::string& object() const noexcept { return context_.object; }
  const std::string& way_out() const noexcept { return context_.way_out; }

 private:
  ErrorContext context_;
  std::string text_;
};

}  // namespace volcrypt

template <>
struct boost::system::is_error_code_enum<volcrypt::errc> : std::true_type {};
