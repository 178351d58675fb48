// The forecast in words.
#include "agent/cli/forecast.hpp"

#include "agent/cli/output.hpp"

namespace volcrypt::cli {

namespace {

std::size_t others_approved(const json::value& state) {
  std::size_t others = 0;
  if (const auto* approved = find(state, {"approved"}); approved && approved->is_array()) {
    for (const auto& entry : approved->get_array()) others += text_at(entry, {"matchesNow"}) != "yes";
  }
  return others;
}

}  // namespace

std::string secure_boot_words(const json::value& state) {
  const std::string told = text_at(state, {"secureBoot"});
  if (told == "absent") return "none on this machine";
  return told == "-" ? "not known" : told;
}

std::string forecast(const json::value& state) {
  const std::string pcrs = text_at(state, {"pcrs"});
  if (pcrs == "-") return "No PCRs are bound: the keys open at every boot, whatever system is booted.";
  const auto others = others_approved(state);
  std::string also;
  if (others > 0) {
    also = "\nAlso approved: " + std::to_string(others) + (others == 1 ? " other boot state" : " other boot states") +
           ", before it or prepared for an update.";
  }
  if (text_at(state, {"approvedNow"}) == "yes") {
    return "The next boot opens the volumes if firmware, Secure Boot state and boot path stay as they are (PCR " +
           pcrs +
           ").\nAfter a change of what is measured there, this node is sealed out until `volcryptctl node "
           "approve-boot-state --authority-file FILE`." +
           also;
  }
  return "SEALED OUT: this boot is not approved, and the next one of the same kind will not be either.\n"
         "If you know why PCR " +
         pcrs +
         " changed (firmware, Secure Boot keys, dbx), run `volcryptctl node approve-boot-state --authority-file FILE`; "
         "the same keys open then.\n"
         "If you do not know, boot the system that was approved before." +
         also;
}

}  // namespace volcrypt::cli
