// Spelling, strict parsing and opening of the membership document, see membership.hpp. Numbers are decimal strings,
// bytes are base64, in the order that to_json writes.
#include "agent/cluster/membership.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <set>

#include "agent/cluster/documents.hpp"
#include "agent/cluster/state.hpp"
#include "agent/keys/authority.hpp"
#include "agent/keys/documents.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/strict_json.hpp"

namespace volcrypt::cluster {

namespace json = boost::json;
using keys::Protection;

namespace {

const JsonDocument membership_document{"the membership document", max_membership_bytes, 8, errc::token_malformed};
const JsonDocument signed_document_form{"the signed membership document", 1024 * 1024, 2, errc::token_malformed};

constexpr std::size_t max_name_bytes = 64;

[[noreturn]] void refuse(std::string rule) {
  throw Error(membership_document.refusal, {"read", membership_document.what, std::move(rule)});
}

json::object render(const keys::NodeIdentity& identity) {
  json::object object;
  object["storage_key"] = to_base64(identity.storage_key);
  object["attestation_key"] = to_base64(identity.attestation_key);
  object["endorsement_key"] = to_base64(identity.endorsement_key);
  object["maker"] = identity.maker;
  return object;
}

json::object render(const MemberEntry& member) {
  json::object object;
  object["node"] = member.node.str();
  object["name"] = member.name;
  object["addresses"] = json::array(member.addresses.begin(), member.addresses.end());
  object["tls_fingerprint"] = to_base64(member.tls_fingerprint);
  object["tpm"] = render(member.tpm);
  object["software"] = render(member.software);
  object["tpm_approvals"] = keys::object_of(member.tpm_approvals);
  object["software_approvals"] = keys::object_of(member.software_approvals);
  return object;
}

std::string read_name(MemberReader& members, std::string_view name) {
  const auto text = members.text(name);
  const auto printable = [](unsigned char c) { return c >= 0x20 && c != 0x7f; };
  if (text.empty() || text.size() > max_name_bytes || !std::all_of(text.begin(), text.end(), printable)) {
    members.refuse(name, "It must have 1 to " + std::to_string(max_name_bytes) + " printable bytes.");
  }
  return std::string(text);
}

std::uint64_t read_counter(MemberReader& members, std::string_view name) {
  const auto number = members.decimal_string(name);
  if (number == 0) members.refuse(name, "It starts at 1.");
  return number;
}

keys::NodeIdentity read_identity(const json::object& object, Protection protection) {
  MemberReader members(object, membership_document);
  keys::NodeIdentity identity;
  identity.protection = protection;
  identity.storage_key = members.base64("storage_key");
  identity.attestation_key = members.base64("attestation_key");
  identity.endorsement_key = members.base64("endorsement_key");
  identity.maker = members.text("maker");
  members.finish();
  return identity;
}

keys::Approvals read_approvals(const json::object& object) {
  auto approvals = keys::approvals_of(object, membership_document);
  for (const auto& state : approvals.boot_states) {
    if (!state.pcr_digest.empty() && state.pcr_digest.size() != sizeof(Digest)) {
      refuse("The PCR digest of a boot state must be empty or of 32 bytes.");
    }
  }
  return approvals;
}

MemberEntry read_member(const json::value& value) {
  if (!value.is_object()) refuse("Its members must be objects.");
  MemberReader members(value.get_object(), membership_document);
  MemberEntry member;
  member.node = members.uuid("node");
  member.name = read_name(members, "name");
  for (const auto& address : documents::texts(members, "addresses")) member.addresses.emplace_back(address);
  member.tls_fingerprint = members.base64("tls_fingerprint");
  member.tpm = read_identity(members.object("tpm"), Protection::tpm);
  member.software = read_identity(members.object("software"), Protection::software);
  member.tpm_approvals = read_approvals(members.object("tpm_approvals"));
  member.software_approvals = read_approvals(members.object("software_approvals"));
  members.finish();
  if (!member.tls_fingerprint.empty() && member.tls_fingerprint.size() != sizeof(Digest)) {
    members.refuse("tls_fingerprint", "It must be empty or of 32 bytes.");
  }
  return member;
}

// Approvals that are there at all must be for this cluster and node, from the same authority.
void check_approvals(const Membership& membership, const MemberEntry& member, const keys::NodeIdentity& identity,
                     const keys::Approvals& approvals) {
  const bool present = !approvals.authority_public.empty();
  if (present == identity.storage_key.empty()) {
    refuse("Member " + volcrypt::quoted(member.name) + " has an identity without approvals, or the reverse.");
  }
  if (!present) return;
  if (approvals.authority_public != membership.authority_public || approvals.cluster != membership.cluster ||
      approvals.node != member.node || approvals.trust_epoch > membership.trust_epoch) {
    refuse("The approvals of member " + volcrypt::quoted(member.name) +
           " are for another authority, cluster, node or trust epoch.");
  }
}

void check_members(const Membership& membership) {
  if (membership.members.empty() || membership.members.size() > max_members) {
    refuse("It must have 1 to " + std::to_string(max_members) + " members.");
  }
  std::set<Uuid> nodes;
  std::set<std::string> names;
  for (const auto& member : membership.members) {
    if (member.node.is_nil() || !nodes.insert(member.node).second || !names.insert(member.name).second) {
      refuse("Node ids and names must be there and differ; see member " + volcrypt::quoted(member.name) + ".");
    }
    if (member.software.storage_key.empty())
      refuse("Member " + volcrypt::quoted(member.name) + " lacks its software identity.");
    check_approvals(membership, member, member.tpm, member.tpm_approvals);
    check_approvals(membership, member, member.software, member.software_approvals);
  }
}

}  // namespace

std::string to_json(const Membership& membership) {
  auto object = documents::begin();
  object["cluster"] = membership.cluster.str();
  object["cluster_name"] = membership.cluster_name;
  object["document_version"] = std::to_string(membership.version);
  object["trust_epoch"] = std::to_string(membership.trust_epoch);
  object["authority_public"] = to_base64(membership.authority_public);
  object["recovery_point"] = to_base64(membership.recovery_point);
  json::array list;
  for (const auto& member : membership.members) list.emplace_back(render(member));
  object["members"] = std::move(list);
  return json::serialize(object);
}

Membership parse_membership(std::string_view text) {
  const auto object = parse_object(text, membership_document);
  MemberReader members(object, membership_document);
  documents::check_version(members, membership_document);
  Membership membership;
  membership.cluster = members.uuid("cluster");
  membership.cluster_name = read_name(members, "cluster_name");
  membership.version = read_counter(members, "document_version");
  membership.trust_epoch = read_counter(members, "trust_epoch");
  membership.authority_public = members.base64("authority_public");
  membership.recovery_point = members.base64("recovery_point", 65);
  for (const auto& value : members.array("members")) membership.members.push_back(read_member(value));
  members.finish();
  if (membership.cluster.is_nil()) members.refuse("cluster", "It must not be the nil UUID.");
  if (membership.recovery_point.front() != 4) members.refuse("recovery_point", "It must be an uncompressed point.");
  check_members(membership);
  // What is signed must have one meaning for every reader, so it has one spelling too.
  if (to_json(membership) != text) refuse("It is not spelled as volcrypt spells it (order, white space, escapes).");
  return membership;
}

Bytes signing_input(std::string_view document) { return Canonical("volcrypt membership v1").add(document).bytes(); }

std::string to_json(const SignedMembership& signed_document) {
  json::object object;
  object["document"] = signed_document.document;
  object["signature"] = to_base64(signed_document.signature);
  return json::serialize(object);
}

SignedMembership parse_signed_membership(std::string_view text) {
  const auto object = parse_object(text, signed_document_form);
  MemberReader members(object, signed_document_form);
  SignedMembership signed_document;
  signed_document.document = members.text("document");
  signed_document.signature = members.base64("signature");
  members.finish();
  return signed_document;
}

Membership open_membership(const SignedMembership& signed_document, const Pin* pin) {
  auto membership = parse_membership(signed_document.document);
  const auto object = "the membership document of cluster " + membership.cluster.str() + ", version " +
                      std::to_string(membership.version);
  if (pin != nullptr && (membership.cluster != pin->cluster || membership.authority_public != pin->authority_public)) {
    throw Error(
        errc::bad_signature,
        {"accept", object, "This node belongs to cluster " + pin->cluster.str() + " and trusts its authority only."});
  }
  if (!keys::verify(membership.authority_public, signing_input(signed_document.document), signed_document.signature)) {
    throw Error(errc::bad_signature, {"accept", object, "Sign it again with the cluster's authority key."});
  }
  if (pin != nullptr && membership.version < pin->newest_seen) {
    throw Error(errc::too_old, {"accept", object,
                                "Version " + std::to_string(pin->newest_seen) +
                                    " was seen already: an old copy of the store or a replayed document."});
  }
  return membership;
}

}  // namespace volcrypt::cluster
