// Verbs on this node's boot state: what the PCRs say, what happens at the next boot, and the authority's approval.
#include <algorithm>

#include "agent/cli/forecast.hpp"
#include "agent/cli/table.hpp"
#include "agent/cli/verbs.hpp"
#include "agent/cluster/membership.hpp"
#include "agent/control/documents.hpp"
#include "agent/keys/authority.hpp"

namespace volcrypt::cli {

namespace {

using keys::AdminKey;

// As `get clusterinfo` has it.
std::string secure_boot_warning(const json::value& state) {
  const std::string told = text_at(state, {"secureBoot"});
  const auto* pcrs = find(state, {"pcrs"});
  const bool is_policy = pcrs && pcrs->is_array() && std::ranges::any_of(pcrs->get_array(), [](const auto& pcr) {
                           return text_at(pcr, {}) == "7";
                         });
  if (!is_policy || (told != "off" && told != "absent")) return "";
  return "Without Secure Boot, PCR 7 is the same whatever is booted.";
}

std::string describe(const json::value& state) {
  Listing listing;
  const std::string pcrs = text_at(state, {"pcrs"});
  listing.add("PCRs bound", pcrs == "-" ? "none" : pcrs);
  if (const auto* values = find(state, {"values"}); values && values->is_array() && pcrs != "-") {
    for (const auto& value : values->get_array()) {
      listing.add("PCR " + text_at(value, {"pcr"}) + " now", text_at(value, {"value"}));
    }
    listing.add("Digest now", text_at(state, {"digestNow"}));
  }
  const auto* approved = find(state, {"approved"});
  if (approved && approved->is_array() && pcrs != "-") {
    for (const auto& digest : approved->get_array()) {
      listing.add("Approved",
                  text_at(digest, {"digest"}) + (text_at(digest, {"matchesNow"}) == "yes" ? " (this boot)" : ""));
    }
  }
  listing.add("Secure Boot", secure_boot_words(state));
  listing.add("Forecast", forecast(state));
  if (const std::string warning = secure_boot_warning(state); !warning.empty()) listing.add("Warning", warning);
  return listing.text();
}

Bytes wanted_digest(const ApproveOptions& options, const json::value& state) {
  const std::string text = options.pcr_digest.value_or(text_at(state, {"digestNow"}));
  Bytes digest;
  try {
    digest = from_hex(text);
  } catch (const Error&) {  // told below, with the option's name
  }
  if (digest.size() != sizeof(Digest)) {
    throw Failure(ExitStatus::usage,
                  "cannot approve the digest '" + text +
                      "': it is not 64 lower-case hexadecimal digits. See `volcryptctl node boot-state`.");
  }
  return digest;
}

}  // namespace

ExitStatus boot_state(Session& session) {
  const auto state = session.agent.get("/v1/node/boot-state");
  json::object shown = state.as_object();
  shown.emplace("forecast", forecast(state));
  session.show(shown, describe(state));
  return ExitStatus::done;
}

ExitStatus approve_boot_state(Session& session, const ApproveOptions& options) {
  const auto state = session.agent.get("/v1/node/boot-state");
  if (text_at(state, {"pcrs"}) == "-") {
    session.show(json::object{{"changed", false}}, "No PCRs are bound: there is nothing to approve.\n");
    return ExitStatus::done;
  }
  const Bytes digest = wanted_digest(options, state);
  const auto current = control::parse_signed_membership(
      http::JsonObject(session.agent.get("/v1/cluster/membership"), "the agent's answer"));
  cluster::Membership membership = cluster::open_membership(current, nullptr);
  const std::string node = text_at(state, {"node"});
  const auto member = std::find_if(membership.members.begin(), membership.members.end(),
                                   [&](const auto& entry) { return entry.node.str() == node; });
  if (member == membership.members.end()) {
    throw Failure(ExitStatus::failed,
                  "cannot approve the boot state: node " + node + " is not in the membership document.");
  }
  auto& approvals = member->tpm_approvals;
  if (std::any_of(approvals.boot_states.begin(), approvals.boot_states.end(),
                  [&](const auto& approved) { return approved.pcr_digest == digest; })) {
    session.show(json::object{{"changed", false}}, "This boot state is approved already; nothing changed.\n");
    return ExitStatus::done;
  }
  const AdminKey authority =
      AdminKey::open(options.authority_file, session.passphrases.next("the authority key", Asking::once));
  if (authority.public_der() != membership.authority_public) {
    throw Failure(ExitStatus::wrong_key, "cannot approve with the key in " + options.authority_file +
                                             ": it is not this cluster's authority. Nothing was changed.");
  }
  keys::approve_boot_state(authority, approvals, digest);
  ++membership.version;
  cluster::SignedMembership document;
  document.document = cluster::to_json(membership);
  document.signature = authority.sign(cluster::signing_input(document.document));
  session.agent.put("/v1/cluster/membership", control::render(document));
  session.show(json::object{{"changed", true}, {"digest", to_hex(digest)}},
               "Boot state " + to_hex(digest) + " is approved; the same keys open in it.\n");
  return ExitStatus::done;
}

}  // namespace volcrypt::cli
