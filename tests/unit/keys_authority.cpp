// The authority: what it refuses to approve, which signatures hold, and its key's file with every refusal.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>
#include <numeric>

#include "agent/keys/authority.hpp"
#include "agent/keys/p256.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/vectors.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
namespace fs = std::filesystem;

namespace {

auto because(errc cause) {
  return [cause](const Error& e) { return e.code() == cause; };
}

std::string content(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  BOOST_REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// A TPM node's identity for this authority, as a TPM would report it, and the request to approve it.
struct Node {
  Uuid cluster = Uuid::random(), id = Uuid::random();
  AdminKey authority = AdminKey::generate(AdminKey::Purpose::authority, cluster);
  AdminKey recovery = AdminKey::generate(AdminKey::Purpose::recovery, cluster);
  Bytes authority_name = tpm_name(authority_public_area(authority.public_point()));
  Bytes storage_key = storage_public_area(generate_p256().point, storage_policy(authority_name, cluster, id));

  ApprovalRequest request(std::vector<std::uint32_t> pcrs, const Bytes& digest) const {
    Bytes endorsement = storage_public_area(generate_p256().point, Digest{});
    std::ranges::copy(from_hex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"),
                      endorsement.begin() + 10);
    endorsement[6] = 0x00, endorsement[7] = 0xB2;
    const NodeIdentity identity{Protection::tpm, storage_key, attestation_public_area(generate_p256().point),
                                endorsement, "test"};
    return {identity, id, 1, recovery.public_point(), std::move(pcrs), digest};
  }
};

const Bytes state_a(32, 0xa), state_b(32, 0xb);

}  // namespace

BOOST_FIXTURE_TEST_SUITE(authority_signs, Node)

BOOST_AUTO_TEST_CASE(approval_is_an_ordinary_signature_over_policy_and_reference) {
  const Approvals approvals = approve_node(authority, request({7}, state_a));
  BOOST_CHECK_NO_THROW(check_approvals(approvals, Protection::tpm, storage_key));
  BOOST_TEST(approvals.recovery_public == recovery_public_area(recovery.public_point()));
  const Bytes recovery_message =
      approval_message(policy_duplication_select(tpm_name(approvals.recovery_public)), kek_reference(cluster, 1));
  BOOST_TEST(verify(authority.public_der(), recovery_message, approvals.recovery_approval));
  const Digest load = policy_command_code(policy_pcr(policy_start, {7}, state_a), TpmCommand::load);
  BOOST_REQUIRE_EQUAL(approvals.boot_states.size(), 1U);
  BOOST_TEST(verify(authority.public_der(), approval_message(load, node_reference(cluster, id)),
                    approvals.boot_states[0].load));
}

BOOST_AUTO_TEST_CASE(without_pcrs_the_commands_alone_are_signed) {
  const Approvals approvals = approve_node(authority, request({}, {}));
  BOOST_REQUIRE_EQUAL(approvals.boot_states.size(), 1U);
  BOOST_TEST(approvals.boot_states[0].pcr_digest.empty());
  BOOST_CHECK_NO_THROW(check_approvals(approvals, Protection::tpm, storage_key));
  BOOST_CHECK_EXCEPTION(approve_node(authority, request({7}, {})), Error, because(errc::invalid_argument));
  BOOST_CHECK_EXCEPTION(approve_node(authority, request({}, state_a)), Error, because(errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(keks_of_each_approved_epoch_may_go_to_that_storage_key_alone) {
  ApprovalRequest asked = request({7}, state_a);
  asked.trust_epoch = 5;
  asked.older_epochs = {1, 3};
  const Approvals approvals = approve_node(authority, asked);
  const auto refused = because(errc::bad_signature);
  BOOST_CHECK_NO_THROW(check_approvals(approvals, Protection::tpm, storage_key));
  BOOST_REQUIRE_EQUAL(approvals.duplication_approvals.size(), 3U);
  const Peer peer{id, storage_key, approvals.duplication_approvals};
  for (const std::uint64_t epoch : {1U, 3U, 5U}) {
    const Bytes message =
        approval_message(policy_duplication_select(tpm_name(storage_key)), kek_reference(cluster, epoch));
    const DuplicationApproval& found = duplication_approval_of(peer, approvals, Protection::tpm, epoch);
    BOOST_TEST(verify(authority.public_der(), message, found.signature));
  }
  for (const std::uint64_t epoch : {0U, 2U, 4U, 6U})
    BOOST_CHECK_EXCEPTION(duplication_approval_of(peer, approvals, Protection::tpm, epoch), Error, refused);
  // Of another node, another kind, another authority, another epoch.
  Bytes other = storage_public_area(generate_p256().point, storage_policy(authority_name, cluster, id));
  BOOST_CHECK_EXCEPTION(check_approvals(approvals, Protection::tpm, other), Error, refused);
  const Peer impostor{id, other, approvals.duplication_approvals};
  BOOST_CHECK_EXCEPTION(duplication_approval_of(impostor, approvals, Protection::tpm, 5), Error, refused);
  BOOST_CHECK_EXCEPTION(duplication_approval_of(peer, approvals, Protection::software, 5), Error, refused);
  Approvals theirs = approvals;
  theirs.authority_public = AdminKey::generate(AdminKey::Purpose::authority, cluster).public_der();
  BOOST_CHECK_EXCEPTION(duplication_approval_of(peer, theirs, Protection::tpm, 5), Error, refused);
  for (std::size_t at = 0; at < 3; ++at) {
    Approvals altered = approvals;
    altered.duplication_approvals[at].signature = approvals.duplication_approvals[(at + 1) % 3].signature;
    BOOST_CHECK_EXCEPTION(check_approvals(altered, Protection::tpm, storage_key), Error, refused);
  }
  Approvals past = approvals;  // nothing of the present epoch
  past.duplication_approvals.pop_back();
  BOOST_CHECK_EXCEPTION(check_approvals(past, Protection::tpm, storage_key), Error, refused);
}

BOOST_AUTO_TEST_CASE(epochs_that_do_not_ascend_or_are_too_many_are_not_approved) {
  std::vector<std::uint64_t> many(most_epochs);
  std::iota(many.begin(), many.end(), 1U);
  for (const std::vector<std::uint64_t>& older :
       std::vector<std::vector<std::uint64_t>>{{0}, {2, 1}, {3, 3}, {40}, {41}, many}) {
    ApprovalRequest asked = request({7}, state_a);
    asked.trust_epoch = 40;
    asked.older_epochs = older;
    BOOST_CHECK_EXCEPTION(approve_node(authority, asked), Error, because(errc::invalid_argument));
  }
}

BOOST_AUTO_TEST_CASE(node_whose_keys_have_another_form_is_not_approved) {
  ApprovalRequest bad = request({7}, state_a);
  bad.identity.storage_key =
      storage_public_area(generate_p256().point, Digest{});  // any command, hole 1 of the TPM facts
  BOOST_CHECK_EXCEPTION(approve_node(authority, bad), Error, because(errc::tpm_unsuitable));
  bad = request({7}, state_a);
  bad.node = Uuid::random();
  BOOST_CHECK_EXCEPTION(approve_node(authority, bad), Error, because(errc::tpm_unsuitable));
  bad = request({7}, state_a);
  bad.recovery_point[64] ^= 1;
  BOOST_CHECK_EXCEPTION(approve_node(authority, bad), Error, because(errc::invalid_argument));
  BOOST_CHECK_EXCEPTION(approve_node(recovery, request({7}, state_a)), Error, because(errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(one_more_boot_state_is_signed_and_the_oldest_makes_room) {
  Approvals approvals = approve_node(authority, request({7}, state_a));
  approve_boot_state(authority, approvals, state_b);
  approve_boot_state(authority, approvals, state_a);
  BOOST_REQUIRE_EQUAL(approvals.boot_states.size(), 2U);
  BOOST_TEST(approvals.boot_states.back().pcr_digest == state_a);
  for (std::uint8_t i = 0x20; i < 0x40; ++i) approve_boot_state(authority, approvals, Bytes(32, i));
  BOOST_TEST(approvals.boot_states.size() == most_boot_states);
  BOOST_TEST(approvals.boot_states.back().pcr_digest == Bytes(32, 0x3f));
  BOOST_CHECK_NO_THROW(check_approvals(approvals, Protection::tpm, storage_key));
}

BOOST_AUTO_TEST_CASE(boot_state_is_not_added_by_another_authority_cluster_or_without_pcrs) {
  Approvals approvals = approve_node(authority, request({7}, state_a));
  const std::size_t before = approvals.boot_states.size();
  const AdminKey other = AdminKey::generate(AdminKey::Purpose::authority, cluster);
  BOOST_CHECK_EXCEPTION(approve_boot_state(other, approvals, state_b), Error, because(errc::bad_signature));
  const AdminKey foreign = AdminKey::generate(AdminKey::Purpose::authority, Uuid::random());
  BOOST_CHECK_EXCEPTION(approve_boot_state(foreign, approvals, state_b), Error, because(errc::wrong_cluster));
  BOOST_CHECK_EXCEPTION(approve_boot_state(recovery, approvals, state_b), Error, because(errc::invalid_argument));
  BOOST_CHECK_EXCEPTION(approve_boot_state(authority, approvals, Bytes(31, 1)), Error, because(errc::invalid_argument));
  BOOST_TEST(approvals.boot_states.size() == before);
  Approvals open = approve_node(authority, request({}, {}));
  BOOST_CHECK_EXCEPTION(approve_boot_state(authority, open, state_b), Error, because(errc::wrong_state));
}

BOOST_AUTO_TEST_CASE(approvals_of_the_wrong_mode_or_without_boot_states_do_not_hold) {
  Approvals approvals = approve_node(authority, request({7}, state_a));
  BOOST_CHECK_EXCEPTION(check_approvals(approvals, Protection::software, storage_key), Error,
                        because(errc::bad_signature));
  approvals.pcrs = {7, 8};
  BOOST_CHECK_EXCEPTION(check_approvals(approvals, Protection::tpm, storage_key), Error, because(errc::bad_signature));
  approvals.pcrs = {7};
  approvals.boot_states.clear();
  BOOST_CHECK_EXCEPTION(check_approvals(approvals, Protection::tpm, storage_key), Error, because(errc::bad_signature));
  BOOST_CHECK_EXCEPTION(check_approvals(Approvals{}, Protection::software, recovery.public_point()), Error,
                        because(errc::bad_signature));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(admin_key_file)

BOOST_AUTO_TEST_CASE(file_of_other_code_is_opened) {
  const tests::Vectors v("keys_admin.json");
  const AdminKey key =
      AdminKey::open(VOLCRYPT_TEST_DATA "/keys_recovery_key.json", Secret::copy_of(v.hex("passphrase")));
  BOOST_TEST(key.public_point() == v.hex("point"));
  BOOST_TEST((key.purpose() == AdminKey::Purpose::recovery));
}

// Every change here reaches the passphrase's key: some seconds in all.
BOOST_AUTO_TEST_CASE(saved_key_opens_again_and_no_authenticated_field_can_be_swapped) {
  const tests::TemporaryDirectory directory;
  const fs::path file = directory.path() / "authority.key";
  const Secret passphrase = Secret::copy_of(as_bytes(std::string_view("a passphrase\0\n", 14)));
  const AdminKey key = AdminKey::generate(AdminKey::Purpose::authority, Uuid::random());
  key.save(file, passphrase);
  const AdminKey again = AdminKey::open(file, passphrase);
  BOOST_TEST(again.public_der() == key.public_der());
  BOOST_TEST((again.cluster() == key.cluster()));
  BOOST_TEST(verify(key.public_der(), as_bytes("x"), again.sign(as_bytes("x"))));
  BOOST_TEST((fs::status(file).permissions() == (fs::perms::owner_read | fs::perms::owner_write)));
  BOOST_TEST(std::distance(fs::directory_iterator(directory.path()), {}) == 1);

  const std::string good = content(file);
  BOOST_CHECK_EXCEPTION(key.save(file, passphrase), Error, because(errc::already_exists));
  BOOST_TEST(content(file) == good);
  const auto refused = [&](const std::string& text) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
    BOOST_CHECK_EXCEPTION(AdminKey::open(file, passphrase), Error, because(errc::wrong_passphrase));
  };
  AdminKeyFile swapped = parse_admin_key_file(good);
  swapped.purpose = AdminKey::Purpose::recovery;
  refused(to_json(swapped));
  refused(replaced(good, key.cluster().str(), Uuid::random().str()));
  swapped = parse_admin_key_file(good);
  swapped.point = generate_p256().point;
  refused(to_json(swapped));
  swapped = parse_admin_key_file(good);
  swapped.sealed.back() ^= 1;
  refused(to_json(swapped));
  std::ofstream(file, std::ios::binary | std::ios::trunc) << good;
  const auto says_it_once = [&](const Error& error) {
    BOOST_TEST(error.what() == "cannot open the key file " + file.string() +
                                   ": the passphrase is wrong, or the file is damaged. Try again.");
    return error.code() == errc::wrong_passphrase;
  };
  BOOST_CHECK_EXCEPTION(AdminKey::open(file, Secret::copy_of(as_bytes("a passphrase"))), Error, says_it_once);
  BOOST_TEST(content(file) == good);
}

BOOST_AUTO_TEST_CASE(malformed_files_are_refused_before_any_work_on_the_passphrase) {
  const std::string good = content(VOLCRYPT_TEST_DATA "/keys_recovery_key.json");
  const AdminKeyFile parsed = parse_admin_key_file(good);
  const std::string compact = to_json(parsed);
  BOOST_TEST(to_json(parse_admin_key_file(compact)) == compact);
  BOOST_CHECK_EXCEPTION(parse_admin_key_file(replaced(compact, "\"version\":1", "\"version\":2")), Error,
                        because(errc::token_version));
  for (const std::string& text :
       {replaced(compact, "\"n\":131072", "\"n\":1099511627776"),  // would ask for a petabyte
        replaced(compact, "\"n\":131072", "\"n\":2"),              // would make guessing cheap
        replaced(compact, "\"r\":8", "\"r\":4294967295"), replaced(compact, "\"p\":1", "\"p\":2"),
        replaced(compact, "scrypt", "Scrypt"), replaced(compact, "\"purpose\":\"recovery\"", "\"purpose\":\"both\""),
        replaced(compact, "volcrypt admin key", "volcrypt"), replaced(compact, "\"salt\":\"", "\"salt\":\"AAAA"),
        replaced(compact, "\"nonce\":\"", "\"nonce\":\"AAAA"), replaced(compact, "\"point\"", "\"pint\""),
        replaced(compact, "\"version\":1", "\"version\":1.0"), replaced(compact, "{\"format\"", "{\"a\":1,\"format\""),
        compact + "x", std::string(), std::string("{}"), std::string("null"), std::string(5000, ' ')}) {
    BOOST_CHECK_EXCEPTION(parse_admin_key_file(text), Error, because(errc::token_malformed));
  }
  for (std::size_t size = 0; size + 2 < compact.size(); ++size) {
    BOOST_CHECK_EXCEPTION(parse_admin_key_file(compact.substr(0, size)), Error, because(errc::token_malformed));
  }
}

BOOST_AUTO_TEST_CASE(missing_file_is_named) {
  BOOST_CHECK_EXCEPTION(AdminKey::open("/nonexistent/authority.key", Secret(1)), Error, [](const Error& e) {
    return e.code() == errno_code(ENOENT) &&
           std::string(e.what()).find("/nonexistent/authority.key") != std::string::npos;
  });
}

BOOST_AUTO_TEST_SUITE_END()
