// See admission.hpp.
#include "agent/admission.hpp"

#include <algorithm>
#include <ctime>

#include "agent/cluster/keys_of_store.hpp"
#include "agent/cluster/membership.hpp"
#include "agent/control/documents.hpp"
#include "agent/keys/p256.hpp"
#include "agent/peer/address.hpp"
#include "agent/runtime/durable_file.hpp"
#include "agent/runtime/log.hpp"
#include "dmtarget/error.hpp"

namespace volcrypt {

namespace {

using cluster::PendingNode;
using keys::Protection;

constexpr std::chrono::seconds file_deadline{10};

std::uint64_t now() { return static_cast<std::uint64_t>(std::time(nullptr)); }

// Whoever guesses learns nothing from the difference.
peer::JoinRefused no_such_token() {
  return {
      errc::peer_refused,
      {"join", "the cluster",
       "The token is not known here: it was used, has expired, or is another cluster's. Make a new one on a member: "
       "`volcryptctl cluster token --output FILE`."}};
}

Error nobody_waits(const Uuid& node) {
  return {errc::wrong_state,
          {"find", "a node " + node.str() + " that wants to join", "See `volcryptctl get nodes` for those that do."}};
}

cluster::Transaction changing(const cluster::Entry& entry, std::string value) {
  cluster::Transaction transaction;
  transaction.when.push_back({entry.key, entry.modified});
  transaction.then.emplace_back(cluster::Put{entry.key, std::move(value)});
  return transaction;
}

// One record that cannot be read must not keep the others from being admitted: it can be rejected by its id.
std::optional<PendingNode> readable(const cluster::Entry& entry) {
  try {
    return cluster::parse_pending_node(entry.value);
  } catch (const Error&) {
  }
  PendingNode unknown;
  unknown.tls_fingerprint = Bytes(sizeof(Digest));
  try {
    unknown.node = Uuid::parse(entry.key.substr(cluster::store_key::pending_nodes.size()));
    return unknown;
  } catch (const Error&) {  // nobody of ours wrote that
    return std::nullopt;
  }
}

bool is_over(const cluster::Entry& token) {
  try {
    return cluster::parse_token_record(token.value).expires < now();
  } catch (const Error&) {  // nobody can use it
    return true;
  }
}

control::EnrolledNode enrolled_of(const std::string& text) {
  return control::parse_enrolled_node(http::JsonObject(text, "what the node says of itself"));
}

void check_enrolled(const control::EnrolledNode& node, const http::Fingerprint& key) {
  const auto refuse = [](const std::string& why) -> peer::JoinRefused {
    return {errc::invalid_argument, {"take", "the request to join", why}};
  };
  if (node.name.empty() || node.name.size() > 63) throw refuse("The node's name has 1 to 63 characters.");
  if (!std::ranges::equal(node.tls_fingerprint, key)) throw refuse("It names another TLS key than it shows.");
  if (node.addresses.empty())
    throw refuse("The node has no address for port 4007: set `address` in its volcryptd.conf and restart it.");
  try {
    for (const std::string& address : node.addresses) (void)peer::parse_address(address);
  } catch (const Error& error) {
    throw refuse(error.what());
  }
}

control::EnrolledNode enrolled_for_join(const cluster::JoinRequest& request, const http::Fingerprint& key) {
  try {
    control::EnrolledNode node = enrolled_of(request.enrolled);
    check_enrolled(node, key);
    if (node.node == request.node) return node;
  } catch (const peer::JoinRefused&) {
    throw;
  } catch (const Error& error) {
    throw peer::JoinRefused(errc::invalid_argument, {"take", "the request to join", error.what()});
  }
  throw peer::JoinRefused(errc::invalid_argument, {"take", "the request to join", "It names two nodes."});
}

}  // namespace

// ---- at a member ----

asio::awaitable<cluster::Membership> Admission::membership() {
  const auto pinned = co_await parts_.pin.read();
  if (!pinned)
    throw Error(errc::wrong_state,
                {"admit", "another node", "This node belongs to no cluster yet: run `volcryptctl cluster init`."});
  co_return cluster::parse_membership(pinned->newest.document);
}

void Admission::require_shared_store(std::size_t members) const {
  if (members < 2 || parts_.is_store_shared()) return;
  throw Error(errc::wrong_state,
              {"admit", "a second node",
               "The cluster's state is in a file of this node, which another cannot reach. Move it to an etcd first: "
               "`volcryptctl store migrate etcd:https://HOST:2379 --store-authority FILE`."});
}

asio::awaitable<control::TokenPlace> Admission::add_token(control::TokenRequest request) {
  const cluster::Membership membership = co_await this->membership();
  require_shared_store(membership.members.size() + 1);
  control::TokenPlace place;
  place.addresses = parts_.port.addresses();
  if (place.addresses.empty())
    throw Error(errc::wrong_state, {"make", "a token",
                                    "This node does not listen on port 4007, so nobody could ask it: set `address` in "
                                    "volcryptd.conf, restart volcryptd, and see volcryptd(8)."});
  if (request.life == 0 || request.life > cluster::longest_token_life)
    throw Error(errc::invalid_argument, {"make", "a token", "It may live for one second to thirty days."});
  keys::require_p256_point(request.point);
  place.cluster = membership.cluster;
  place.cluster_name = membership.cluster_name;
  place.authority_public = membership.authority_public;
  place.member_key = parts_.port.fingerprint();
  place.expires = now() + request.life;
  // Those that nobody used go when another is made.
  cluster::Transaction transaction;
  const auto others = co_await parts_.store.list(std::string(cluster::store_key::tokens));
  for (const cluster::Entry& other : others) {
    if (transaction.then.size() < 32 && is_over(other)) transaction.then.emplace_back(cluster::Delete{other.key});
  }
  const std::string record = cluster::to_json(cluster::TokenRecord{request.point, place.expires});
  transaction.then.emplace_back(cluster::Put{cluster::store_key::token(request.id), record});
  const auto done = co_await parts_.store.commit(std::move(transaction));
  if (!done) throw Error(done.error(), {"store", "the token", "Try again."});
  co_return place;
}

asio::awaitable<std::vector<cluster::Entry>> Admission::waiting() {
  return parts_.store.list(std::string(cluster::store_key::pending_nodes));
}

asio::awaitable<std::vector<PendingNode>> Admission::pending() {
  std::vector<PendingNode> nodes;
  const auto entries = co_await waiting();
  for (const cluster::Entry& entry : entries) {
    const auto node = readable(entry);
    if (node) nodes.push_back(*node);
  }
  co_return nodes;
}

asio::awaitable<void> Admission::requested(cluster::JoinRequest request, http::Fingerprint key) {
  const cluster::Membership membership = co_await this->membership();
  const std::string place = cluster::store_key::pending_node(request.node);
  const auto known = co_await parts_.store.get(place);
  if (known) {  // its answer was lost on the way
    const PendingNode before = cluster::parse_pending_node(known->value);
    if (!std::ranges::equal(before.tls_fingerprint, key)) throw no_such_token();
    if (before.enrolled == request.enrolled) co_return;
    throw peer::JoinRefused(errc::conflict,
                            {"join", "the cluster",
                             "A request of this node waits already, in which it says something else of itself: on a "
                             "member, `volcryptctl node reject NODE` first."});
  }
  const auto token = co_await parts_.store.get(cluster::store_key::token(request.token));
  if (!token) throw no_such_token();
  const cluster::TokenRecord record = cluster::parse_token_record(token->value);
  const Bytes said = cluster::signing_input(membership.cluster, request.node, key, request.enrolled);
  if (record.expires < now() || !keys::p256_verify(record.point, said, request.signature)) throw no_such_token();
  // From here on it is somebody whom an administrator has sent.
  const control::EnrolledNode node = enrolled_for_join(request, key);
  for (const cluster::MemberEntry& member : membership.members) {
    if (member.node == request.node)
      throw peer::JoinRefused(errc::conflict, {"join", "the cluster", "This node is a member already."});
    if (member.name == node.name)
      throw peer::JoinRefused(errc::conflict, {"join as", volcrypt::quoted(node.name),
                                               "There is a member of this name: choose another by `--name`."});
  }
  const auto others = co_await waiting();
  if (others.size() >= cluster::most_pending)
    throw peer::JoinRefused(
        errc::limit_exceeded,
        {"wait for", "the authority", "64 nodes wait already: admit or reject them, see `volcryptctl get nodes`."});
  PendingNode waits;
  waits.node = request.node;
  waits.enrolled = request.enrolled;
  waits.tls_fingerprint = {key.begin(), key.end()};
  cluster::Transaction transaction;
  transaction.when = {{token->key, token->modified}, {place, 0}};
  transaction.then = {cluster::Delete{token->key}, cluster::Put{place, cluster::to_json(waits)}};
  const auto done = co_await parts_.store.commit(std::move(transaction));
  if (!done) throw no_such_token();  // somebody else was faster
}

asio::awaitable<void> Admission::ask(Uuid node, cluster::AdmissionQuestion question) {
  const auto entry = co_await parts_.store.get(cluster::store_key::pending_node(node));
  if (!entry) throw nobody_waits(node);
  PendingNode waits = cluster::parse_pending_node(entry->value);
  waits.question = std::move(question);
  waits.answer.reset();
  const auto done = co_await parts_.store.commit(changing(*entry, cluster::to_json(waits)));
  if (!done) throw Error(done.error(), {"ask", "the node", "Something else changed what is known of it: try again."});
}

asio::awaitable<void> Admission::reject(Uuid node) {
  const auto entry = co_await parts_.store.get(cluster::store_key::pending_node(node));
  if (!entry) throw nobody_waits(node);
  cluster::Transaction transaction;
  transaction.then = {cluster::Delete{entry->key}};
  const auto done = co_await parts_.store.commit(std::move(transaction));
  if (!done) throw Error(done.error(), {"reject", "the node", "Try again."});
}

asio::awaitable<void> Admission::settle(cluster::Membership membership) {
  cluster::Transaction transaction;
  const auto entries = co_await waiting();
  for (const cluster::Entry& entry : entries) {
    for (const cluster::MemberEntry& member : membership.members) {
      if (entry.key == cluster::store_key::pending_node(member.node))
        transaction.then.emplace_back(cluster::Delete{entry.key});
    }
  }
  if (transaction.then.empty()) co_return;
  (void)co_await parts_.store.commit(std::move(transaction));  // what stays is passed over: it is a member
}

// ---- at a newcomer ----

asio::awaitable<void> Admission::join(control::JoinOrder order) {
  const auto pinned = co_await parts_.pin.read();
  if (pinned)
    throw Error(errc::wrong_state,
                {"join", "a cluster", "This node belongs to cluster " + pinned->pin.cluster.str() + " already."});
  if (!parts_.is_store_shared())
    throw Error(
        errc::wrong_state,
        {"join", "a cluster",
         "This node's store is a file of its own. Say where the cluster's is: `volcryptctl cluster join ADDRESS "
         "--token-file FILE --store etcd:https://HOST:2379 --store-authority FILE`."});
  if (parts_.port.addresses().empty())
    throw Error(errc::wrong_state,
                {"join", "a cluster",
                 "This node does not listen on port 4007: set `address` in volcryptd.conf, restart volcryptd, and see "
                 "volcryptd(8)."});
  const auto& known = parts_.node_file.known();
  if (!known || known->identity.cluster != order.cluster || known->identity.node != order.request.node)
    throw Error(errc::wrong_state, {"join", "a cluster", "This node has made no keys for it: run the command again."});
  const auto entry = co_await parts_.store.get(std::string(cluster::store_key::membership));
  const bool is_there =
      entry &&
      cluster::parse_membership(cluster::parse_signed_membership(entry->value).document).cluster == order.cluster;
  if (!is_there)
    throw Error(errc::wrong_state,
                {"join", "cluster " + order.cluster.str(),
                 "The etcd that was named has not this cluster's state: see `volcryptctl get store` on a member."});
  if (order.member_key.size() != sizeof(http::Fingerprint))
    throw Error(errc::invalid_argument, {"join", "a cluster", "The member's key is no fingerprint of 32 bytes."});
  http::Fingerprint key{};
  std::ranges::copy(order.member_key, key.begin());
  std::exception_ptr failure;
  bool refused = false;
  try {
    co_await parts_.port.ask_to_join(peer::parse_address(order.address), key, order.request);
  } catch (const Error& error) {
    failure = std::current_exception();
    refused = error.code() == errc::peer_refused;
  }
  // One whose answer was lost may have been taken; one that was refused leaves an earlier one as it is.
  if (!refused) co_await keep_request(std::move(order.request));
  if (!refused) parts_.joining();
  if (failure) std::rethrow_exception(failure);
}

asio::awaitable<void> Admission::keep_request(cluster::JoinRequest request) {
  const auto do_write_durably = [file = parts_.request_file, text = cluster::to_json(request)] {
    runtime::write_durably(file, as_bytes(text));
  };
  co_await parts_.files.run("keep the request to join", file_deadline, do_write_durably);
}

asio::awaitable<cluster::JoinRequest> Admission::kept_request() {
  const auto do_read = [file = parts_.request_file] { return runtime::read_file(file, 4 * cluster::enrolled_limit); };
  const auto text = co_await parts_.files.run("read the request to join", file_deadline, do_read);
  if (!text) throw Error(errc::wrong_state, {"answer", "the authority's question", "This node has not asked to join."});
  co_return cluster::parse_join_request(std::string(text->begin(), text->end()));
}

asio::awaitable<cluster::AdmissionAnswer> Admission::answer_to(cluster::AdmissionQuestion question, Digest request) {
  const auto do_answer = [request](keys::JoinChallenge asked) {
    return [request, asked = std::move(asked)](keys::KekStore& store) {
      return keys::bind_to_request(store.answer(asked), asked, request);
    };
  };
  cluster::AdmissionAnswer answer;
  if (question.tpm) {
    const auto prove_tpm = do_answer(*question.tpm);
    answer.tpm = co_await parts_.keys.of(Protection::tpm).with("prove the TPM's keys", prove_tpm);
  }
  const auto prove_software = do_answer(question.software);
  answer.software = co_await parts_.keys.of(Protection::software).with("prove the software keys", prove_software);
  co_return answer;
}

asio::awaitable<bool> Admission::is_admitted(keys::IdentityRequest identity) {
  const auto entry = co_await parts_.store.get(std::string(cluster::store_key::membership));
  if (!entry) co_return false;
  const cluster::Pin made_for{identity.cluster, identity.authority_public, 0};
  const auto membership = cluster::open_membership(cluster::parse_signed_membership(entry->value), &made_for);
  co_return std::ranges::any_of(membership.members, [&](const auto& member) { return member.node == identity.node; });
}

asio::awaitable<bool> Admission::answer_question() {
  const auto pinned = co_await parts_.pin.read();
  if (pinned || !parts_.node_file.known()) co_return false;
  const keys::IdentityRequest identity = parts_.node_file.known()->identity;
  const bool admitted = co_await is_admitted(identity);
  if (admitted) co_return false;
  const auto entry = co_await parts_.store.get(cluster::store_key::pending_node(identity.node));
  if (!entry) co_return false;
  PendingNode waits = cluster::parse_pending_node(entry->value);
  if (!waits.question || waits.answer) co_return true;
  const cluster::JoinRequest said = co_await kept_request();
  const Digest request = cluster::request_digest(identity.cluster, said.node, parts_.port.fingerprint(), said.enrolled);
  waits.answer = co_await answer_to(*waits.question, request);
  (void)co_await parts_.store.commit(changing(*entry, cluster::to_json(waits)));  // else there is another question
  co_return true;
}

}  // namespace volcrypt
