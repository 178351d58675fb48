// Verbs on who the cluster is: tokens, joining, admitting, removing. The authority's key is opened here, what it says
// is signed here, and a newcomer's proof is checked here: no agent decides who is a member.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <thread>

#include "agent/cli/enrolment.hpp"
#include "agent/cli/file.hpp"
#include "agent/cli/table.hpp"
#include "agent/cli/verbs.hpp"
#include "agent/cluster/admission.hpp"
#include "agent/control/documents.hpp"
#include "agent/keys/p256.hpp"
#include "dmtarget/canonical.hpp"

namespace volcrypt::cli {

namespace {

using cluster::PendingNode;
using keys::AdminKey;

constexpr std::size_t token_file_limit = 4096;  // bytes

std::vector<PendingNode> pending_nodes(Session& session) {
  http::JsonObject answer(session.agent.get("/v1/pending-nodes"), "the agent's answer");
  std::vector<PendingNode> nodes;
  for (auto& node : answer.objects("pending")) nodes.push_back(cluster::parse_pending_node(node.string("record")));
  return nodes;
}

control::EnrolledNode enrolled_of(const PendingNode& node) {
  return control::parse_enrolled_node(http::JsonObject(node.enrolled, "what the node says of itself"));
}

PendingNode find_pending(Session& session, const std::string& name) {
  std::vector<PendingNode> found;
  for (PendingNode& node : pending_nodes(session)) {
    bool is_named = node.node.str() == name;
    try {
      is_named = is_named || enrolled_of(node).name == name;
    } catch (const Error&) {  // it has an id at least
    }
    if (is_named) found.push_back(std::move(node));
  }
  if (found.size() == 1) return std::move(found.front());
  throw Failure(found.empty() ? ExitStatus::not_found : ExitStatus::refused,
                found.empty() ? "cannot find the node " + name +
                                    ": none of this name or id wants to join. See `volcryptctl get nodes`."
                              : "cannot tell which node " + name +
                                    " is: several want to join under this name. Give "
                                    "the id, see `volcryptctl get nodes`.");
}

struct Document {
  cluster::SignedMembership as_signed;
  cluster::Membership membership;
};

Document present_document(Session& session) {
  Document document;
  document.as_signed = control::parse_signed_membership(
      http::JsonObject(session.agent.get("/v1/cluster/membership"), "the agent's answer"));
  document.membership = cluster::open_membership(document.as_signed, nullptr);
  return document;
}

AdminKey open_authority(Session& session, const std::string& file, const cluster::Membership& membership) {
  AdminKey authority = AdminKey::open(file, session.passphrases.next("the authority key", Asking::once));
  if (authority.public_der() != membership.authority_public)
    throw Failure(ExitStatus::wrong_key,
                  "cannot sign with the key in " + file + ": it is not this cluster's authority. Nothing was changed.");
  return authority;
}

// Where this node listens may have changed since it was signed last: whoever signs anew signs that.
void refresh_own_entry(Session& session, cluster::Membership& membership) {
  http::JsonObject port(session.agent.get("/v1/node/port"), "the agent's answer");
  const Uuid self = Uuid::parse(port.string("node"));
  for (cluster::MemberEntry& member : membership.members) {
    if (member.node != self) continue;
    member.tls_fingerprint = port.base64("tlsFingerprint");
    member.addresses = port.strings("addresses");
  }
}

void put(Session& session, const AdminKey& authority, cluster::Membership& membership) {
  refresh_own_entry(session, membership);
  ++membership.version;
  cluster::SignedMembership document;
  document.document = cluster::to_json(membership);
  document.signature = authority.sign(cluster::signing_input(document.document));
  session.agent.put("/v1/cluster/membership", control::render(document));
}

// The question is this process's own: what answers it now is there now.
struct Questions {
  std::optional<keys::JoinQuestion> tpm;
  keys::JoinQuestion software;

  Questions(const control::EnrolledNode& node, const keys::IdentityRequest& made_for)
      : software(node.software, made_for) {
    if (node.tpm) tpm.emplace(*node.tpm, made_for);
  }
  cluster::AdmissionQuestion asked() const {
    return {tpm ? std::optional(tpm->challenge()) : std::nullopt, software.challenge()};
  }
  void require(const cluster::AdmissionAnswer& answer, const Digest& request) const {
    if (answer.tpm.has_value() != tpm.has_value())
      throw Failure(ExitStatus::wrong_key, "cannot admit the node: it did not prove all keys that it claims.");
    if (tpm) tpm->require(*answer.tpm, request);
    software.require(answer.software, request);
  }
};

cluster::AdmissionAnswer ask(Session& session, const PendingNode& node, const cluster::AdmissionQuestion& question) {
  constexpr std::chrono::seconds longest{120};  // a TPM's answer takes seconds
  constexpr std::chrono::milliseconds pause{300};
  const std::string text = cluster::to_json(question);
  session.agent.post("/v1/pending-nodes/" + node.node.str() + "/question", json::object{{"question", text}});
  session.note("volcryptctl: waiting for the node to prove its keys");
  for (const auto until = std::chrono::steady_clock::now() + longest; std::chrono::steady_clock::now() < until;) {
    bool waits = false;
    for (PendingNode& now : pending_nodes(session)) {
      if (now.node != node.node) continue;
      waits = true;
      if (!now.question || cluster::to_json(*now.question) != text)
        throw Failure(ExitStatus::refused, "cannot admit the node: somebody else asks it, too. Try again.");
      if (now.answer) return std::move(*now.answer);
    }
    if (!waits)
      throw Failure(ExitStatus::refused,
                    "cannot admit the node: its request is gone. Somebody else has rejected or "
                    "admitted it: see `volcryptctl get nodes`.");
    std::this_thread::sleep_for(pause);
  }
  throw Failure(ExitStatus::timed_out,
                "cannot admit the node: it did not prove its keys within two minutes. Is volcryptd running there, and "
                "does it reach the store? Its journal: journalctl -u volcryptd");
}

// What an administrator compares on both sides: the TPM, and everything that the node says of itself.
void add_fingerprints(Listing& listing, const control::EnrolledNode& node, const Uuid& cluster,
                      const Bytes& tls_fingerprint, const std::string& enrolled) {
  listing.add("TPM", node.tpm ? node.tpm->maker : "left out: software protection only");
  if (node.tpm) listing.add("EK fingerprint", to_hex(sha256(node.tpm->endorsement_key)));
  listing.add("Request fingerprint", to_hex(cluster::request_digest(cluster, node.node, tls_fingerprint, enrolled)));
}

std::string addresses_of(const std::vector<std::string>& addresses) {
  std::string all;
  for (const std::string& address : addresses) all += (all.empty() ? "" : ", ") + address;
  return all;
}

std::vector<std::uint32_t> pcrs_of_this_node(Session& session) {
  const json::value state = session.agent.get("/v1/node/boot-state");
  const std::string text = text_at(state, {"pcrs"});
  return text == "-" ? std::vector<std::uint32_t>() : parse_pcrs(text);
}

// The key is left in the token alone.
cluster::JoinToken read_token(const std::string& file) {
  Bytes text = read_whole_file(file, token_file_limit);
  struct Wiper {
    Bytes& bytes;
    ~Wiper() { wipe(bytes); }
  } const wiper{text};
  return cluster::parse_join_token(text);
}

// Nobody attaches or rewraps the volumes of a node that is gone, until they are taken over; their KEK generation stays
// for as long as they are in the catalogue.
void refuse_orphans(Session& session, const cluster::MemberEntry& member, const MemberOptions& options) {
  if (options.leave_volumes) return;
  std::string owned;
  const json::value answer = session.agent.get("/v1/volumes");
  for (const auto& volume : answer.at("volumes").as_array()) {
    if (text_at(volume, {"owner"}) == member.node.str())
      owned += (owned.empty() ? "" : ", ") + printable(text_at(volume, {"name"}));
  }
  if (owned.empty()) return;
  throw Failure(
      ExitStatus::refused,
      "cannot remove the node " + options.name + ": it owns the volumes " + owned +
          ". Delete or forget them there, or attach them on other nodes; or say --leave-volumes: then they stay "
          "in the catalogue, with the KEK generation that they need, until each is taken over with "
          "`volcryptctl attach NAME --take-over` or given up with `volcryptctl forget volume NAME`.");
}

void wait_until_decided(Session& session, const Uuid& node) {
  constexpr std::chrono::milliseconds pause{500};
  session.note("volcryptctl: waiting to be admitted");
  for (;;) {
    const auto pending = pending_nodes(session);
    if (text_at(session.agent.get("/v1/node/boot-state"), {"node"}) == node.str()) return;
    if (std::ranges::none_of(pending, [&](const PendingNode& each) { return each.node == node; }))
      throw Failure(ExitStatus::refused, "cannot join: the request was rejected. Ask who has the authority's key.");
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace

ExitStatus cluster_token(Session& session, const TokenOptions& options) {
  const keys::P256Pair key = keys::generate_p256();
  control::TokenRequest request;
  request.id = Uuid::random();
  request.point = key.point;
  request.life = std::uint64_t{options.hours} * 3600;
  const json::value answer = session.agent.post("/v1/tokens", control::render(request));
  const auto place = control::parse_token_place(http::JsonObject(answer, "the agent's answer"));
  cluster::JoinToken token;
  token.id = request.id;
  token.cluster = place.cluster;
  token.cluster_name = place.cluster_name;
  token.authority_public = place.authority_public;
  token.member_key = place.member_key;
  token.expires = place.expires;
  token.scalar = key.scalar.clone();
  write_new_file(options.output, cluster::to_text(token).view());
  session.show(json::object{{"token", token.id.str()},
                            {"file", options.output},
                            {"expires", token.expires},
                            {"addresses", json::array(place.addresses.begin(), place.addresses.end())}},
               "The token is in " + options.output + ", good for one node within " + std::to_string(options.hours) +
                   " hours. Bring it to the new node, and there: `volcryptctl cluster join " + place.addresses.front() +
                   " --token-file " + options.output + " --store ADDRESS --store-authority FILE`\n");
  return ExitStatus::done;
}

ExitStatus cluster_join(Session& session, const JoinOptions& options) {
  const cluster::JoinToken token = read_token(options.token_file);
  if (!options.store.address.empty()) choose_store(session, options.store, control::StoreUse::join);
  const keys::IdentityRequest made_for{token.authority_public, token.cluster, Uuid::random()};
  const json::value made =
      session.agent.post("/v1/node/identity", control::render(control::EnrolRequest{made_for, options.tpm}));
  control::EnrolledNode node = control::parse_enrolled_node(http::JsonObject(made, "the agent's answer"));
  if (!options.name.empty()) node.name = options.name;
  control::JoinOrder order;
  order.address = options.address;
  order.member_key = token.member_key;
  order.cluster = token.cluster;
  order.request.token = token.id;
  order.request.node = node.node;
  order.request.enrolled = json::serialize(control::render(node));
  order.request.signature = keys::p256_sign(
      token.scalar, cluster::signing_input(token.cluster, node.node, node.tls_fingerprint, order.request.enrolled));
  session.agent.post("/v1/join", control::render(order));
  Listing listing;
  listing.add("Node", node.name + " (" + node.node.str() + ")");
  add_fingerprints(listing, node, token.cluster, node.tls_fingerprint, order.request.enrolled);
  const std::string next = "\nIt waits to be admitted to " + token.cluster_name +
                           ". On a member, with the authority's key: `volcryptctl node admit " + node.name +
                           " --authority-file FILE`\nCompare the fingerprints with what is shown there.\n";
  session.show(
      json::object{{"node", node.node.str()},
                   {"name", node.name},
                   {"cluster", token.cluster.str()},
                   {"requestFingerprint", to_hex(cluster::request_digest(token.cluster, node.node, node.tls_fingerprint,
                                                                         order.request.enrolled))}},
      listing.text() + next);
  if (options.wait == Waiting::yes) wait_until_decided(session, node.node);
  return ExitStatus::done;
}

ExitStatus get_nodes(Session& session) {
  const json::value info = session.agent.get("/v1/clusterinfo");
  const json::value waiting = session.agent.get("/v1/pending-nodes");
  const json::array none;
  const auto* members = find(info, {"cluster", "members"});
  const auto* pending = find(waiting, {"pending"});
  json::array all = members && members->is_array() ? members->get_array() : none;
  Table table({{"NAME"}, {"STATE"}, {"ID"}, {"TPM"}, {"ADDRESSES"}});
  for (const auto& member : all) {
    table.add({text_at(member, {"name"}), "member", text_at(member, {"id"}), text_at(member, {"tpm"}),
               text_at(member, {"addresses"})});
  }
  std::string fingerprints;
  const json::array& asking = pending && pending->is_array() ? pending->get_array() : none;
  for (const auto& node : asking) {
    table.add({text_at(node, {"name"}), "pending", text_at(node, {"id"}), text_at(node, {"tpm"}),
               text_at(node, {"addresses"})});
    const std::string fingerprint = text_at(node, {"endorsementKey"});
    if (fingerprint != "-")
      fingerprints += "EK fingerprint of " + printable(text_at(node, {"name"})) + ": " + fingerprint + "\n";
  }
  session.show(json::object{{"nodes", all}, {"pending", asking}},
               table.text() + (fingerprints.empty() ? "" : "\n" + fingerprints));
  return ExitStatus::done;
}

ExitStatus admit_node(Session& session, const MemberOptions& options) {
  const PendingNode waits = find_pending(session, options.name);
  const control::EnrolledNode node = enrolled_of(waits);
  Document document = present_document(session);
  cluster::Membership& membership = document.membership;
  if (std::ranges::any_of(membership.members, [&](const auto& member) { return member.node == waits.node; })) {
    session.agent.put("/v1/cluster/membership", control::render(document.as_signed));  // a try that was cut off
    session.show(json::object{{"node", waits.node.str()}, {"changed", false}}, "It is a member already.\n");
    return ExitStatus::done;
  }
  const std::string protection = text_at(session.agent.get("/v1/clusterinfo"), {"encryptionState", "keyProtection"});
  if (protection == "tpm" && !node.tpm)
    throw Failure(ExitStatus::refused,
                  "cannot admit the node: it wants to take part without a TPM, and this cluster's "
                  "keys live in TPMs. Reject it, and let it join without --without-tpm.");
  if (node.node != waits.node || node.tls_fingerprint != waits.tls_fingerprint)
    throw Failure(ExitStatus::wrong_key,
                  "cannot admit the node: what it says of itself is of another node or TLS key. Reject it.");
  Listing listing;
  listing.add("Node", node.name + " (" + waits.node.str() + ")");
  listing.add("Addresses", addresses_of(node.addresses));
  add_fingerprints(listing, node, membership.cluster, waits.tls_fingerprint, waits.enrolled);
  session.note(listing.text() + "Admit it only if these are the fingerprints that the new node has shown.");
  const AdminKey authority = open_authority(session, options.authority_file, membership);
  const Digest request = cluster::request_digest(membership.cluster, waits.node, waits.tls_fingerprint, waits.enrolled);
  const Questions questions(node, {membership.authority_public, membership.cluster, waits.node});
  const cluster::AdmissionAnswer answer = ask(session, waits, questions.asked());
  questions.require(answer, request);
  const std::vector<std::uint32_t> pcrs = options.pcrs ? *options.pcrs : pcrs_of_this_node(session);
  membership.members.push_back(make_member(authority, {node, waits.node, membership.recovery_point, pcrs,
                                                       membership.trust_epoch, epochs_before(membership.trust_epoch)}));
  put(session, authority, membership);
  session.show(json::object{{"node", waits.node.str()}, {"name", node.name}, {"membershipVersion", membership.version}},
               "Node " + printable(node.name) + " is a member. It fetches the KEK generations in use by itself.\n");
  return ExitStatus::done;
}

ExitStatus reject_node(Session& session, const std::string& name) {
  const PendingNode waits = find_pending(session, name);
  session.agent.del("/v1/pending-nodes/" + waits.node.str());
  session.show(json::object{{"node", waits.node.str()}}, "The request of node " + printable(name) + " is forgotten.\n");
  return ExitStatus::done;
}

// Its KEKs cannot be taken from it: what it holds opens what it could open. So it gets no more of them, and the volumes
// get a KEK that it never had.
ExitStatus remove_node(Session& session, const MemberOptions& options) {
  Document document = present_document(session);
  cluster::Membership& membership = document.membership;
  const json::value state = session.agent.get("/v1/node/boot-state");
  const auto member = std::ranges::find_if(membership.members, [&](const cluster::MemberEntry& entry) {
    return entry.name == options.name || entry.node.str() == options.name;
  });
  if (member == membership.members.end())
    throw Failure(ExitStatus::not_found,
                  "cannot remove the node " + options.name +
                      ": it is no member. See `volcryptctl get nodes`; if it was removed a moment ago, the rotation is "
                      "due that follows: `volcryptctl rotate cluster-root-key`.");
  if (member->node.str() == text_at(state, {"node"}))
    throw Failure(ExitStatus::refused, "cannot remove the node " + options.name +
                                           " from itself: give the command on another member, which goes on.");
  refuse_orphans(session, *member, options);
  const AdminKey authority = open_authority(session, options.authority_file, membership);
  const std::string name = member->name, id = member->node.str();
  membership.members.erase(member);
  ++membership.trust_epoch;
  for (cluster::MemberEntry& other : membership.members)
    renew_approvals(authority, other, membership.recovery_point, membership.trust_epoch);
  put(session, authority, membership);
  json::value rotation(nullptr);
  std::string then = "Encryption is not enabled, so there is nothing to rotate.\n";
  if (text_at(session.agent.get("/v1/clusterinfo"), {"encryptionState", "state"}) == "Enabled") {
    try {
      rotation = session.agent.post("/v1/rotation", json::object{}).at("generation");
      then = "A rotation has begun, to a KEK that it never had: follow it with `volcryptctl get clusterinfo`.\n";
    } catch (const Failure& failure) {
      then = std::string("The rotation that should follow has not begun: ") + failure.what() +
             " When what is under way has ended, give `volcryptctl rotate cluster-root-key`: until that one has ended, "
             "the KEKs that the node holds open the volumes.\n";
    }
  }
  session.show(json::object{{"node", id},
                            {"name", name},
                            {"membershipVersion", membership.version},
                            {"trustEpoch", membership.trust_epoch},
                            {"generation", rotation}},
               "Node " + printable(name) + " is no member any more. " + then);
  return ExitStatus::done;
}

}  // namespace volcrypt::cli
