// What an interposer on the way to the TPM can learn and do: nothing of group keys in the traffic, no altered answer
// that becomes a key, and after every fault of the transport an error and a working next call.
#define BOOST_TEST_DYN_LINK
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <optional>

#include "agent/keys/dek_wrap.hpp"
#include "agent/keys/tpm/tpm_bytes.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "agent/keys/tpm_digests.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"
#include "tests/support/tcti_proxy.hpp"
#include "tests/tpm/tpm_fixture.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
using volcrypt::test::Fault;
using volcrypt::test::Harm;
using volcrypt::test::StoreFixture;
using volcrypt::test::TctiProxy;

namespace {

// A node whose store reaches its TPM through the proxy.
struct ProxiedNode : StoreFixture {
  ProxiedNode() : proxy(swtpm.socket()) {
    tcti = proxy.tcti();
    restart();
    store->create(1);
    key = group_key();
  }
  Secret group_key() { return std::move(store->group_keys(1, {group}).front()); }
  // The call's outcome under harm; empty when it was refused. Any other exception than Error fails the test.
  std::optional<Secret> try_group_key() {
    try {
      return group_key();
    } catch (const Error& error) {
      BOOST_TEST_MESSAGE(error.what());
      return std::nullopt;
    }
  }
  std::size_t objects_and_sessions() {
    const tpm::TpmContext context(swtpm.tcti());
    return tpm::handles_of(context.esys(), TPM2_TRANSIENT_FIRST).size() +
           tpm::handles_of(context.esys(), TPM2_LOADED_SESSION_FIRST).size();
  }

  const Uuid group = Uuid::random();
  TctiProxy proxy;
  Secret key = Secret(32);
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_traffic_of_group_keys_holds_neither_input_nor_result) {
  ProxiedNode node;
  for (const auto route : {tpm::HmacRoute::direct, tpm::HmacRoute::sequence}) {
    TpmStoreOptions options = node.options();
    options.route = route;
    node.store = std::make_unique<TpmKekStore>(options);
    node.proxy.take_traffic();
    const Secret key = node.group_key();
    BOOST_TEST(equals(key, node.key));
    const auto traffic = node.proxy.take_traffic();
    const TPM2_CC command = route == tpm::HmacRoute::direct ? TPM2_CC_HMAC : TPM2_CC_SequenceComplete;
    BOOST_TEST(std::count_if(traffic.begin(), traffic.end(), [&](const auto& e) { return e.command == command; }) == 1);
    BOOST_TEST(test::appearances(traffic, group_digest(node.administrator.cluster, node.group, 1)) == 0U);
    BOOST_TEST(test::appearances(traffic, key.view()) == 0U);
    BOOST_TEST(test::appearances(traffic, key.view().first(16)) == 0U);
  }
}

BOOST_AUTO_TEST_CASE(the_same_search_finds_input_and_result_of_an_unprotected_hmac) {
  // Shows that the test above can fail: the wrong way, a password session, through the same proxy.
  test::NodeFixture node;
  const tpm::NewKek made = tpm::create_kek(node.esys(), node.parent(), {});
  TctiProxy proxy(node.swtpm.socket());
  const tpm::TpmContext context(proxy.tcti());
  const tpm::OpenHandle storage = tpm::open_pinned(context.esys(), node.key);
  const tpm::Transient kek =
      tpm::load_kek(context.esys(), {storage.get(), node.approvals}, made.blob, tpm_name(made.blob.public_area));
  const Digest input = sha256(as_bytes("input"));
  const auto buffer = tpm::sized<TPM2B_MAX_BUFFER>(input);
  TPM2B_DIGEST* raw = nullptr;
  tpm::check(Esys_HMAC(context.esys(), kek.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &buffer,
                       TPM2_ALG_SHA256, &raw),
             "TPM2_HMAC", "the KEK");
  const tpm::Returned<TPM2B_DIGEST> result(raw);
  const auto traffic = proxy.take_traffic();
  BOOST_TEST(test::appearances(traffic, input) > 0U);
  BOOST_TEST(test::appearances(traffic, ByteView(result->buffer, result->size)) > 0U);
}

BOOST_AUTO_TEST_CASE(the_inner_key_of_a_duplicate_is_not_in_the_traffic_of_duplicate_or_import) {
  test::NodeFixture node;
  const tpm::NewKek made = tpm::create_kek(node.esys(), node.parent(), {});
  const Bytes approval = node.administrator.sign(policy_duplication_select(tpm_name(node.key.public_area)),
                                                 kek_reference(node.administrator.cluster, 1));
  TctiProxy proxy(node.swtpm.socket());
  const tpm::TpmContext context(proxy.tcti());
  const tpm::OpenHandle storage = tpm::open_pinned(context.esys(), node.key);
  const tpm::Parent parent{storage.get(), node.approvals};
  tpm::Transient kek = tpm::load_kek(context.esys(), parent, made.blob, tpm_name(made.blob.public_area));
  const tpm::Duplicate duplicate =
      tpm::duplicate_kek(context.esys(), parent, kek.get(), {node.key.public_area, 1, approval});
  kek.end();
  tpm::import_kek(context.esys(), parent, made.blob.public_area, arrived(duplicate));
  const auto traffic = proxy.take_traffic();
  BOOST_TEST(test::appearances(traffic, duplicate.blob) > 0U);  // the search works
  BOOST_TEST(duplicate.inner_key.size() == 32U);
  BOOST_TEST(test::appearances(traffic, duplicate.inner_key.view()) == 0U);
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_anywhere_in_the_answer_of_the_hmac_is_an_error_and_the_next_call_works) {
  ProxiedNode node;
  node.proxy.take_traffic();
  node.group_key();
  std::size_t size = 0;
  for (const auto& exchange : node.proxy.take_traffic()) {
    if (exchange.command == TPM2_CC_HMAC) size = exchange.answer.size();
  }
  BOOST_REQUIRE(size > 60U);
  for (std::size_t at = 10; at < size; ++at) {
    node.proxy.order({Fault::flipped, TPM2_CC_HMAC, 0, 1, at});
    BOOST_TEST(!node.try_group_key().has_value());
    BOOST_TEST(node.proxy.harmed() == 1U);
    BOOST_TEST(equals(node.group_key(), node.key));
  }
  BOOST_TEST(node.objects_and_sessions() == 1U);  // the loaded KEK
}

BOOST_AUTO_TEST_CASE(a_tpm_busy_for_a_moment_is_asked_again_and_one_busy_for_long_is_an_error) {
  ProxiedNode node;
  for (const Fault fault : {Fault::busy, Fault::yielded}) {
    node.proxy.order({fault, TPM2_CC_HMAC, 0, 2, 0});
    BOOST_TEST(equals(node.group_key(), node.key));
    BOOST_TEST(node.proxy.harmed() == 2U);
    node.proxy.order({fault, TPM2_CC_HMAC, 0, 1000, 0});
    BOOST_TEST(!node.try_group_key().has_value());
    node.proxy.order({});
    BOOST_TEST(equals(node.group_key(), node.key));
  }
}

// Each fault at the first, second, third ... command of a call, until the call runs through unharmed.
BOOST_AUTO_TEST_CASE(
    every_fault_at_every_command_of_group_keys_ends_in_an_error_or_the_right_key_and_a_working_next_call) {
  // Dasharo#1575, talos#10847, tpm2-tools#2163: busy and truncating firmware.
  ProxiedNode node;
  for (const Fault fault : {Fault::busy, Fault::shortened, Fault::cut, Fault::closed, Fault::lost, Fault::flipped}) {
    unsigned refused = 0;
    for (unsigned step = 0;; ++step) {
      BOOST_REQUIRE(step < 200U);
      node.restart();  // so that everything is opened and loaded
      node.proxy.order({fault, 0, step, 1, 17 + step});
      const std::optional<Secret> key = node.try_group_key();
      const bool harmed = node.proxy.harmed() > 0;
      node.proxy.order({});
      if (key) BOOST_TEST(equals(*key, node.key));
      refused += key ? 0 : 1;
      BOOST_TEST(equals(node.group_key(), node.key));
      if (!harmed) break;
    }
    node.store->lock();
    BOOST_TEST(node.objects_and_sessions() == 0U);
    if (fault != Fault::busy) BOOST_TEST(refused > 5U);
  }
}

BOOST_AUTO_TEST_CASE(a_fault_at_every_command_of_create_leaves_the_generation_whole_or_absent) {
  ProxiedNode node;
  Generation next = 2;
  for (const Fault fault :
       {Fault::busy, Fault::yielded, Fault::shortened, Fault::cut, Fault::closed, Fault::lost, Fault::flipped}) {
    const bool is_waited_out = fault == Fault::busy || fault == Fault::yielded;
    unsigned refused = 0;
    for (unsigned step = 0;; ++step) {
      BOOST_REQUIRE(step < 300U);
      const Generation generation = next++;
      node.proxy.order({fault, 0, step, 1, 11 + 3 * step});
      bool made = true;
      try {
        node.store->create(generation);
      } catch (const Error& error) {
        BOOST_TEST_MESSAGE(error.what());
        made = false;
        ++refused;
      }
      const bool harmed = node.proxy.harmed() > 0;
      node.proxy.order({});
      const auto held = node.store->held();
      const bool present =
          std::any_of(held.begin(), held.end(), [&](const KekRecord& r) { return r.generation == generation; });
      BOOST_TEST(present == made);
      if (made) BOOST_CHECK_NO_THROW(node.store->group_keys(generation, {node.group}));
      BOOST_TEST(equals(node.group_key(), node.key));
      node.store->destroy(generation);
      if (!harmed) break;
    }
    BOOST_TEST((is_waited_out ? refused == 0U : refused > 10U), refused);
  }
  node.store->lock();
  BOOST_TEST(node.objects_and_sessions() == 0U);
}

// Whatever lies on the way to the TPM cannot disturb it: the signatures are checked by this program.
BOOST_AUTO_TEST_CASE(adopting_approvals_asks_the_tpm_nothing) {
  ProxiedNode node;
  node.restart();
  node.proxy.take_traffic();
  node.store->adopt(node.approvals);
  BOOST_TEST(node.proxy.take_traffic().empty());
}
