// The membership document: one spelling, who may have signed it, and replay; and this node's pin of it.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "agent/cluster/local_pin.hpp"
#include "tests/support/await.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/signed_cluster.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;
using test::SignedCluster;
using tests::refusal;

namespace {

struct Signed : SignedCluster {
  Uuid node = Uuid::random();
  std::string document = to_json(membership(node));

  std::string changed(const std::string& from, const std::string& to) const {
    const auto at = document.find(from);
    BOOST_REQUIRE_MESSAGE(at != std::string::npos, from);
    return std::string(document).replace(at, from.size(), to);
  }
  void refuses(const std::string& text, errc cause = errc::token_malformed) const {
    BOOST_TEST(refusal(cause, [&] { parse_membership(text); }).find("membership") != std::string::npos);
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_document_comes_back_as_it_was, Signed) {
  auto full = membership(node, 7);
  full.members[0].tpm.storage_key = {1, 2};
  full.members[0].tpm.maker = "MAKER \"1.2\"";
  full.members[0].tpm_approvals = full.members[0].software_approvals;
  full.members[0].tpm_approvals.pcrs = {0, 7, 23};
  full.members[0].tpm_approvals.boot_states = {{Bytes(32, 9), {1}, {2}, {3}}};
  full.members[0].tpm_approvals.duplication_approvals = {{1, {4}}, {7, {5}}};
  full.members[0].addresses = {"[fd00::1]:4007", "10.0.0.1:4007"};
  full.members[0].tls_fingerprint = Bytes(32, 3);
  const auto back = parse_membership(to_json(full));
  BOOST_TEST(to_json(back) == to_json(full));
  BOOST_TEST(back.version == 7u);
  BOOST_TEST((back.members[0].tpm_approvals.pcrs == full.members[0].tpm_approvals.pcrs));
  BOOST_TEST((back.members[0].tpm_approvals.boot_states[0].load == Bytes{2}));
}

BOOST_FIXTURE_TEST_CASE(a_document_of_another_spelling_is_refused, Signed) {
  parse_membership(document);
  refuses(document + " ");
  refuses(" " + document);
  refuses(changed("\"test\"", "\"t\\u0065st\""));
  refuses(changed(R"("document_version":"1")", R"("document_version":"01")"));
  refuses(
      changed(R"("cluster_name":"test","document_version":"1")", R"("document_version":"1","cluster_name":"test")"));
}

BOOST_FIXTURE_TEST_CASE(a_document_that_says_too_much_or_too_little_is_refused, Signed) {
  refuses(changed(R"("trust_epoch":"1",)", R"("trust_epoch":"1","extra":1,)"));
  refuses(changed(R"("cluster_name":"test",)", ""));
  refuses(changed(R"("document_version":"1")", R"("document_version":"0")"));
  refuses(changed(R"("maker":"software")", R"("maker":"software","maker":"software")"));
  refuses(changed(R"("pcrs":[])", R"("pcrs":[24])"));
  refuses(changed(R"("pcrs":[])", R"("pcrs":[7,7])"));
  refuses(changed(R"("name":"node1")", R"("name":"")"));
  refuses(changed(R"("name":"node1")", R"("name":"a\nb")"));
  refuses(changed(R"("version":1)", R"("version":2)"), errc::token_version);
  auto twins = membership(node);
  twins.members.push_back(twins.members[0]);
  refuses(to_json(twins));
  twins.members.clear();
  refuses(to_json(twins));
}

BOOST_FIXTURE_TEST_CASE(approvals_for_another_cluster_node_or_authority_are_refused, Signed) {
  const auto with = [&](auto change) {
    auto wrong = membership(node);
    change(wrong.members[0]);
    refuses(to_json(wrong));
  };
  with([](MemberEntry& member) { member.software_approvals.cluster = Uuid::random(); });
  with([](MemberEntry& member) { member.software_approvals.node = Uuid::random(); });
  with([](MemberEntry& member) { member.software_approvals.authority_public[5] ^= 1; });
  with([](MemberEntry& member) { member.software_approvals.trust_epoch = 2; });
  with([](MemberEntry& member) { member.software_approvals.authority_public.clear(); });
  with([](MemberEntry& member) { member.tpm.storage_key = {1}; });
}

BOOST_FIXTURE_TEST_CASE(a_signed_document_opens_and_one_bit_more_does_not, Signed) {
  const auto good = sign(document);
  BOOST_TEST((open_membership(good, nullptr).cluster == id));
  BOOST_TEST((open_membership(parse_signed_membership(to_json(good)), nullptr).cluster == id));
  auto bad = good;
  bad.signature[bad.signature.size() - 1] ^= 1;
  refusal(errc::bad_signature, [&] { open_membership(bad, nullptr); });
  bad = good;
  bad.document = changed("\"test\"", "\"tesu\"");
  refusal(errc::bad_signature, [&] { open_membership(bad, nullptr); });
}

BOOST_FIXTURE_TEST_CASE(another_cluster_or_authority_and_an_older_version_are_refused_by_the_pin, Signed) {
  const Pin pin{id, authority.public_der(), 3};
  BOOST_TEST(open_membership(sign(membership(node, 3)), &pin).version == 3u);
  BOOST_TEST(open_membership(sign(membership(node, 4)), &pin).version == 4u);
  refusal(errc::too_old, [&] { open_membership(sign(membership(node, 2)), &pin); });
  const SignedCluster other;
  refusal(errc::bad_signature, [&] { open_membership(other.sign(other.membership(node, 9)), &pin); });
  auto same_cluster = other.membership(node, 9);  // its own key, our cluster's number
  same_cluster.cluster = id;
  same_cluster.members[0].software_approvals.cluster = id;
  refusal(errc::bad_signature, [&] { open_membership(other.sign(same_cluster), &pin); });
}

BOOST_FIXTURE_TEST_CASE(the_pin_moves_forward_only_and_survives, Signed) {
  const tests::TemporaryDirectory directory;
  const auto file = directory.path() / "cluster.json";
  runtime::Worker files("files", 1);
  LocalPin pin(file, files);
  BOOST_TEST(!test::await(pin.read()).has_value());
  test::await(pin.see_generation(5));  // nothing to pin it to yet
  BOOST_TEST(!test::await(pin.read()).has_value());

  test::await(pin.see_membership(sign(membership(node, 2))));
  test::await(pin.see_generation(5));
  test::await(pin.see_generation(4));
  test::await(pin.see_membership(sign(membership(node, 3))));
  refusal(errc::too_old, [&] { test::await(pin.see_membership(sign(membership(node, 2)))); });
  auto other_content = membership(node, 3);
  other_content.cluster_name = "other";
  refusal(errc::too_old, [&] { test::await(pin.see_membership(sign(other_content))); });
  const SignedCluster other;
  refusal(errc::bad_signature, [&] { test::await(pin.see_membership(other.sign(other.membership(node, 9)))); });

  LocalPin again(file, files);
  const auto pinned = test::await(again.read());
  BOOST_REQUIRE(pinned.has_value());
  BOOST_TEST(pinned->pin.newest_seen == 3u);
  BOOST_TEST(pinned->highest_used == 5u);
  BOOST_TEST(pinned->newest.document == to_json(membership(node, 3)));

  std::ofstream(file) << "{}";
  refusal(errc::store_damaged, [&] { test::await(again.read()); });
}
