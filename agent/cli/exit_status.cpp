// Causes to exit codes.
#include "agent/cli/exit_status.hpp"

#include <array>
#include <string_view>
#include <utility>

namespace volcrypt::cli {

namespace {

constexpr std::array<std::pair<std::string_view, ExitStatus>, 22> by_kind{{
    {"invalid_argument", ExitStatus::usage},   {"wrong_state", ExitStatus::refused},
    {"device_busy", ExitStatus::refused},      {"device_not_blank", ExitStatus::refused},
    {"duplicate_volume", ExitStatus::refused}, {"name_taken", ExitStatus::refused},
    {"not_attached", ExitStatus::refused},     {"already_exists", ExitStatus::refused},
    {"conflict", ExitStatus::refused},         {"too_old", ExitStatus::refused},
    {"no_such_volume", ExitStatus::not_found}, {"no_such_route", ExitStatus::not_found},
    {"forbidden", ExitStatus::forbidden},      {"wrong_passphrase", ExitStatus::wrong_key},
    {"wrong_key", ExitStatus::wrong_key},      {"bad_signature", ExitStatus::wrong_key},
    {"timed_out", ExitStatus::timed_out},      {"unknown_outcome", ExitStatus::timed_out},
    {"not_ours", ExitStatus::not_ours},        {"wrong_cluster", ExitStatus::not_ours},
    {"sealed_out", ExitStatus::tpm},           {"tpm_cleared", ExitStatus::tpm},
}};

}  // namespace

ExitStatus exit_status_of(const std::string& kind, unsigned http_status) noexcept {
  for (const auto& [name, status] : by_kind) {
    if (name == kind) return status;
  }
  if (kind == "tpm_absent" || kind == "tpm_unsuitable" || kind == "tpm") return ExitStatus::tpm;
  if (http_status == 404) return ExitStatus::not_found;
  if (http_status == 409) return ExitStatus::refused;
  return ExitStatus::failed;
}

}  // namespace volcrypt::cli
