// Names and texts of our causes, and the text of an Error, see error.hpp.
#include "dmtarget/error.hpp"

#include <array>

namespace volcrypt {
namespace {

struct Cause {
  errc code;
  const char* name;
  const char* text;
};

constexpr std::array causes = {
    Cause{errc::invalid_argument, "invalid_argument", "the request is not valid"},
    Cause{errc::no_lockable_memory, "no_lockable_memory", "memory for secrets cannot be locked"},
    Cause{errc::not_ours, "not_ours", "there is no volcrypt header"},
    Cause{errc::device_unreadable, "device_unreadable", "the device cannot be read"},
    Cause{errc::device_all_zero, "device_all_zero", "the header area reads as zeros"},
    Cause{errc::device_busy, "device_busy", "the device is in use"},
    Cause{errc::device_not_blank, "device_not_blank", "the device carries data"},
    Cause{errc::header_damaged, "header_damaged", "both copies of the header are damaged"},
    Cause{errc::header_changed, "header_changed", "the header differs from its authenticated description"},
    Cause{errc::token_malformed, "token_malformed", "the document is not in our exact form"},
    Cause{errc::token_version, "token_version", "the format version is not known to this release"},
    Cause{errc::wrong_cluster, "wrong_cluster", "it belongs to another volcrypt cluster"},
    Cause{errc::wrong_generation, "wrong_generation", "this node does not hold that KEK generation"},
    Cause{errc::wrong_key, "wrong_key", "authentication failed: another key, or altered data"},
    Cause{errc::duplicate_volume, "duplicate_volume", "two drives carry the same volume UUID"},
    Cause{errc::name_taken, "name_taken", "the name is taken by something else"},
    Cause{errc::no_such_volume, "no_such_volume", "there is no such volume"},
    Cause{errc::not_attached, "not_attached", "it is not attached"},
    Cause{errc::already_exists, "already_exists", "it exists already"},
    Cause{errc::wrong_state, "wrong_state", "the present state does not allow it"},
    Cause{errc::conflict, "conflict", "another writer was faster"},
    Cause{errc::sealed_out, "sealed_out", "the TPM refuses: its PCRs match no approved state"},
    Cause{errc::tpm_cleared, "tpm_cleared", "the TPM does not know this node's storage key: cleared, or another TPM"},
    Cause{errc::tpm_absent, "tpm_absent", "no TPM answers"},
    Cause{errc::tpm_unsuitable, "tpm_unsuitable", "the TPM lacks a needed command or algorithm"},
    Cause{errc::impostor_kek, "impostor_kek", "the KEK is not the one on record"},
    Cause{errc::bad_signature, "bad_signature", "it is not signed by the cluster's authority"},
    Cause{errc::wrong_passphrase, "wrong_passphrase", "the passphrase is wrong, or the file is damaged"},
    Cause{errc::too_old, "too_old", "it is older than the newest one seen"},
    Cause{errc::limit_exceeded, "limit_exceeded", "a size or count is over its limit"},
    Cause{errc::timed_out, "timed_out", "it took longer than its deadline"},
    Cause{errc::store_damaged, "store_damaged", "the store's content cannot be read"},
    Cause{errc::unknown_outcome, "unknown_outcome", "it is not known whether it was done"},
    Cause{errc::peer_refused, "peer_refused", "the other node refused"},
};

// An errc added without its text, or out of order, does not compile.
constexpr bool in_order() {
  for (std::size_t i = 0; i < causes.size(); ++i) {
    if (static_cast<std::size_t>(causes[i].code) != i + 1) return false;
  }
  return causes.back().code == errc::peer_refused;
}
static_assert(in_order(), "causes[] lists every errc once, in the order of error.hpp");

const Cause* find_cause(int number) noexcept {
  if (number < 1 || static_cast<std::size_t>(number) > causes.size()) return nullptr;
  return &causes[static_cast<std::size_t>(number) - 1];
}

// Boost's categories are never deleted through their base, whose destructor is therefore not virtual.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class VolcryptCategory final : public boost::system::error_category {
 public:
  using boost::system::error_category::message;
  const char* name() const noexcept override { return "volcrypt"; }
  std::string message(int number) const override {
    const Cause* cause = find_cause(number);
    return cause != nullptr ? cause->text : "unknown cause " + std::to_string(number);
  }
};
#pragma GCC diagnostic pop

std::string compose(const boost::system::error_code& cause, const ErrorContext& context) {
  std::string text = "cannot " + context.operation;
  if (!context.object.empty()) text += " " + context.object;
  text += ": " + cause.message();
  if (!context.way_out.empty()) text += ". " + context.way_out;
  return text;
}

}  // namespace

const boost::system::error_category& volcrypt_category() noexcept {
  static const VolcryptCategory category;
  return category;
}

boost::system::error_code make_error_code(errc code) noexcept { return {static_cast<int>(code), volcrypt_category()}; }

boost::system::error_code errno_code(int number) noexcept { return {number, boost::system::generic_category()}; }

std::string errc_name(const boost::system::error_code& code) {
  if (code.category() == volcrypt_category()) {
    const Cause* cause = find_cause(code.value());
    return cause != nullptr ? cause->name : "unknown";
  }
  if (code.category() == boost::system::generic_category() || code.category() == boost::system::system_category()) {
    return "errno";
  }
  return code.category().name();
}

std::string quoted(std::string_view untrusted) {
  constexpr std::size_t shown = 64;
  std::string text = "\"";
  for (char c : untrusted.substr(0, shown)) text += c >= ' ' && c <= '~' && c != '"' ? c : '?';
  return text += untrusted.size() > shown ? "...\"" : "\"";
}

Error::Error(boost::system::error_code cause, ErrorContext context)
    : system_error(cause), context_(std::move(context)), text_(compose(cause, context_)) {}

Error::Error(errc cause, ErrorContext context) : Error(make_error_code(cause), std::move(context)) {}

}  // namespace volcrypt
