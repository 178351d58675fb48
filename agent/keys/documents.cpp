// JSON of the documents of agent/keys; see documents.hpp.
#include "agent/keys/documents.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "agent/keys/authority.hpp"

namespace volcrypt::keys {
namespace {

namespace json = boost::json;

constexpr std::uint64_t version_now = 1;
constexpr std::size_t limit = 64 * 1024;
constexpr std::uint32_t pcr_count = 24;  // TPM 2.0 for PC clients

json::string_view view(std::string_view text) { return {text.data(), text.size()}; }

json::object object_of(const Approvals::BootState& state) {
  json::object object;
  object["pcr_digest"] = to_base64(state.pcr_digest);
  object["create"] = to_base64(state.create);
  object["load"] = to_base64(state.load);
  object["import"] = to_base64(state.import);
  return object;
}

Approvals::BootState boot_state_of(const json::value& value, const MemberReader& owner, const JsonDocument& document) {
  if (!value.is_object()) owner.refuse("boot_states", "It must be an array of objects.");
  MemberReader members(value.get_object(), document);
  Approvals::BootState state;
  state.pcr_digest = members.base64("pcr_digest");
  state.create = members.base64("create");
  state.load = members.base64("load");
  state.import = members.base64("import");
  members.finish();
  return state;
}

json::object object_of(const DuplicationApproval& approval) {
  json::object object;
  object["trust_epoch"] = std::to_string(approval.trust_epoch);
  object["signature"] = to_base64(approval.signature);
  return object;
}

std::vector<DuplicationApproval> duplication_approvals_of(MemberReader& owner, const JsonDocument& document) {
  std::vector<DuplicationApproval> approvals;
  for (const json::value& value : owner.array("duplication_approvals")) {
    if (!value.is_object()) owner.refuse("duplication_approvals", "It must be an array of objects.");
    MemberReader members(value.get_object(), document);
    approvals.push_back({members.decimal_string("trust_epoch"), members.base64("signature")});
    members.finish();
    if (approvals.back().trust_epoch == 0 ||
        (approvals.size() > 1 && approvals[approvals.size() - 2].trust_epoch >= approvals.back().trust_epoch)) {
      owner.refuse("duplication_approvals", "Their trust epochs must ascend from 1.");
    }
  }
  if (approvals.size() > most_epochs) owner.refuse("duplication_approvals", "At most 16 are kept.");
  return approvals;
}

std::vector<std::uint32_t> pcrs_of(MemberReader& members) {
  std::vector<std::uint32_t> pcrs;
  for (const json::value& value : members.array("pcrs")) {
    const auto* number = value.if_int64();
    if (number == nullptr || *number < 0 || *number >= pcr_count || (!pcrs.empty() && *number <= pcrs.back())) {
      members.refuse("pcrs", "It must hold PCR numbers from 0 to 23, ascending.");
    }
    pcrs.push_back(static_cast<std::uint32_t>(*number));
  }
  return pcrs;
}

Approvals read_approvals(MemberReader& members, const JsonDocument& document) {
  Approvals approvals;
  approvals.authority_public = members.base64("authority_public");
  approvals.cluster = members.uuid("cluster");
  approvals.node = members.uuid("node");
  approvals.trust_epoch = members.decimal_string("trust_epoch");
  approvals.recovery_public = members.base64("recovery_public");
  approvals.recovery_approval = members.base64("recovery_approval");
  approvals.duplication_approvals = duplication_approvals_of(members, document);
  approvals.pcrs = pcrs_of(members);
  for (const json::value& state : members.array("boot_states")) {
    approvals.boot_states.push_back(boot_state_of(state, members, document));
  }
  if (approvals.trust_epoch == 0) members.refuse("trust_epoch", "It starts at 1.");
  if (approvals.boot_states.size() > most_boot_states) members.refuse("boot_states", "At most 16 are kept.");
  members.finish();
  return approvals;
}

}  // namespace

json::object begin_document(std::string_view format) {
  json::object object;
  object["format"] = view(format);
  object["version"] = version_now;
  return object;
}

// Format and version first: in another version everything else may be different.
void read_begin(MemberReader& members, std::string_view format) {
  if (members.text("format") != format) members.refuse("format", "It must be \"" + std::string(format) + "\".");
  const std::uint64_t version = members.number("version");
  if (version != version_now) {
    throw Error(errc::token_version, {"read", std::string(format) + " of format version " + std::to_string(version),
                                      "Use the volcrypt release that wrote it, or a newer one."});
  }
}

std::string_view spelling(Protection protection) { return protection == Protection::tpm ? "tpm" : "software"; }

Protection read_protection(MemberReader& members, std::string_view name) {
  const std::string_view text = members.text(name);
  if (text == spelling(Protection::tpm)) return Protection::tpm;
  if (text == spelling(Protection::software)) return Protection::software;
  members.refuse(name, R"(It must be "tpm" or "software".)");
}

json::object object_of(const KekRecord& record) {
  json::object object;
  object["generation"] = std::to_string(record.generation);
  object["protection"] = view(spelling(record.protection));
  object["name"] = to_base64(record.name);
  object["public_area"] = to_base64(record.public_area);
  object["birth"] = to_base64(record.birth);
  object["trust_epoch"] = std::to_string(record.trust_epoch);
  return object;
}

KekRecord kek_record_of(const json::object& object, const JsonDocument& document) {
  MemberReader members(object, document);
  KekRecord record;
  record.generation = members.decimal_string("generation");
  record.protection = read_protection(members, "protection");
  record.name = members.base64("name", 34);
  record.public_area = members.base64("public_area");
  record.birth = members.base64("birth");
  record.trust_epoch = members.decimal_string("trust_epoch");
  if (record.generation == 0) members.refuse("generation", "Generations start at 1.");
  members.finish();
  return record;
}

std::string to_json(const StoredKek& kek) {
  json::object object = begin_document("volcrypt kek");
  object["record"] = object_of(kek.record);
  object["blob"] = to_base64(kek.blob);
  object["parent"] = to_base64(kek.parent);
  return json::serialize(object);
}

StoredKek parse_stored_kek(std::string_view text) {
  static const JsonDocument document{"the stored KEK", limit, 4, errc::store_damaged};
  const json::object object = parse_object(text, document);
  MemberReader members(object, document);
  read_begin(members, "volcrypt kek");
  StoredKek kek;
  kek.record = kek_record_of(members.object("record"), document);
  kek.blob = members.base64("blob");
  kek.parent = members.base64("parent");
  members.finish();
  return kek;
}

json::object object_of(const Approvals& approvals) {
  json::object object;
  object["authority_public"] = to_base64(approvals.authority_public);
  object["cluster"] = approvals.cluster.str();
  object["node"] = approvals.node.str();
  object["trust_epoch"] = std::to_string(approvals.trust_epoch);
  object["recovery_public"] = to_base64(approvals.recovery_public);
  object["recovery_approval"] = to_base64(approvals.recovery_approval);
  json::array duplications, states;
  for (const DuplicationApproval& approval : approvals.duplication_approvals) {
    duplications.emplace_back(object_of(approval));
  }
  for (const Approvals::BootState& state : approvals.boot_states) states.emplace_back(object_of(state));
  object["duplication_approvals"] = std::move(duplications);
  object["pcrs"] = json::array(approvals.pcrs.begin(), approvals.pcrs.end());
  object["boot_states"] = std::move(states);
  return object;
}

Approvals approvals_of(const json::object& object, const JsonDocument& document) {
  MemberReader members(object, document);
  return read_approvals(members, document);
}

std::string to_json(const Approvals& approvals) {
  json::object document = begin_document("volcrypt approvals");
  for (auto& member : object_of(approvals)) document.emplace(member.key(), std::move(member.value()));
  return json::serialize(document);
}

Approvals parse_approvals(std::string_view text) {
  static const JsonDocument document{"the stored approvals", limit, 5, errc::store_damaged};
  const json::object object = parse_object(text, document);
  MemberReader members(object, document);
  read_begin(members, "volcrypt approvals");
  return read_approvals(members, document);
}

std::string to_json(const IdentityRequest& binding) {
  json::object object = begin_document("volcrypt node binding");
  object["authority_public"] = to_base64(binding.authority_public);
  object["cluster"] = binding.cluster.str();
  object["node"] = binding.node.str();
  return json::serialize(object);
}

IdentityRequest parse_binding(std::string_view text) {
  static const JsonDocument document{"the node's binding", limit, 4, errc::store_damaged};
  const json::object object = parse_object(text, document);
  MemberReader members(object, document);
  read_begin(members, "volcrypt node binding");
  IdentityRequest binding{members.base64("authority_public"), members.uuid("cluster"), members.uuid("node")};
  members.finish();
  return binding;
}

}  // namespace volcrypt::keys
