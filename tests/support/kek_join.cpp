// Checks of kek_conformance.hpp: what a node that wants to join proves, and what it cannot.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <functional>

#include "agent/keys/join_proof.hpp"
#include "tests/support/kek_cluster.hpp"

namespace volcrypt::tests {

namespace {

JoinProof copy_of(const JoinProof& proof) { return {proof.secret.clone(), proof.statement, proof.signature}; }

}  // namespace

void node_proves_the_keys_it_claims(const KekNodeMaker& maker) {
  Cluster c(maker);  // not a member yet: no approvals
  const JoinQuestion question(c.identity, c.request());
  BOOST_CHECK_NO_THROW(question.require(c.store->answer(question.challenge())));
  c.reopen();
  BOOST_CHECK_NO_THROW(question.require(c.store->answer(question.challenge())));
  // On its way the proof is about one thing said.
  const Digest shown{7}, other{8};
  const JoinAnswer answer = bind_to_request(c.store->answer(question.challenge()), question.challenge(), shown);
  BOOST_CHECK_NO_THROW(question.require(answer, shown));
  BOOST_CHECK_EXCEPTION(question.require(answer, other), Error, because(errc::bad_signature));
  for (std::size_t at = 0; at < answer.mac.size(); ++at) {
    JoinAnswer wrong = answer;
    wrong.mac[at] ^= 1;
    BOOST_CHECK_EXCEPTION(question.require(wrong, shown), Error, because(errc::bad_signature));
  }
  JoinAnswer unattested = answer;
  unattested.statement.push_back(0);
  BOOST_CHECK_EXCEPTION(question.require(unattested, shown), Error, because(errc::bad_signature));
  BOOST_TEST(
      (c.store->answer(question.challenge()).statement.empty() == (c.store->protection() == Protection::software)));
}

// FAILURES.md F: kairos#4828.
void proof_for_another_question_node_or_key_is_refused(const KekNodeMaker& maker) {
  Cluster c(maker), other(maker);
  const JoinQuestion first(c.identity, c.request()), second(c.identity, c.request());
  const auto refused = because(errc::bad_signature);
  BOOST_TEST(first.challenge().nonce != second.challenge().nonce);
  const JoinProof recorded = c.store->answer(first.challenge());
  BOOST_CHECK_EXCEPTION(second.require(recorded), Error, refused);
  // Replayed beside the secret of the new question.
  JoinProof mixed = copy_of(recorded);
  mixed.secret = std::move(c.store->answer(second.challenge()).secret);
  if (c.store->protection() == Protection::tpm) BOOST_CHECK_EXCEPTION(second.require(mixed), Error, refused);
  // What was asked of one node, another cannot open.
  BOOST_CHECK_EXCEPTION(other.store->answer(first.challenge()), Error, because(errc::wrong_key));
}

void proof_or_question_that_was_altered_anywhere_is_refused(const KekNodeMaker& maker) {
  Cluster c(maker);
  const JoinQuestion question(c.identity, c.request());
  const JoinProof proof = c.store->answer(question.challenge());
  const auto altered = [&](const std::function<void(JoinProof&)>& change) {
    JoinProof wrong = copy_of(proof);
    change(wrong);
    BOOST_CHECK_EXCEPTION(question.require(wrong), Error, because(errc::bad_signature));
  };
  for (std::size_t at = 0; at < proof.secret.size(); ++at) altered([&](JoinProof& p) { p.secret.data()[at] ^= 1; });
  for (std::size_t at = 0; at < proof.statement.size(); ++at) altered([&](JoinProof& p) { p.statement[at] ^= 1; });
  for (std::size_t at = 0; at < proof.signature.size(); ++at) altered([&](JoinProof& p) { p.signature[at] ^= 1; });
  altered([](JoinProof& p) { p.secret = Secret(0); });
  altered([](JoinProof& p) { p.statement.push_back(0); });
  altered([](JoinProof& p) { p.signature.push_back(0); });
  const auto misasked = [&](const std::function<void(JoinChallenge&)>& change) {
    JoinChallenge wrong = question.challenge();
    change(wrong);
    BOOST_CHECK_EXCEPTION(question.require(c.store->answer(wrong)), Error, [](const Error& error) {
      return error.code() == errc::bad_signature || error.code() == errc::wrong_key;  // or it is not answered at all
    });
  };
  const JoinChallenge& asked = question.challenge();
  misasked([](JoinChallenge& q) { q.nonce[0] ^= 1; });
  for (std::size_t at = 0; at < asked.credential.size(); at += 5)
    misasked([&](JoinChallenge& q) { q.credential[at] ^= 1; });
  for (std::size_t at = 0; at < asked.credential_seed.size(); at += 11)
    misasked([&](JoinChallenge& q) { q.credential_seed[at] ^= 1; });
  misasked([](JoinChallenge& q) { q.credential.clear(); });
  misasked([](JoinChallenge& q) { q.credential = Bytes(5000, 1); });
  if (!asked.credential_seed.empty()) misasked([](JoinChallenge& q) { q.credential_seed = Bytes(5000, 1); });
  BOOST_CHECK_NO_THROW(question.require(c.store->answer(question.challenge())));
}

}  // namespace volcrypt::tests
