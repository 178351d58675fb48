// The keyring: results and errors come back through the worker, a TPM that appears late is waited for, within bounds.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "agent/keys/keyring.hpp"
#include "tests/support/await.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
using namespace std::chrono_literals;

namespace {

// A store whose TPM is missing for the first `absent` looks. Only boot_report() is called here.
class LateStore : public KekStore {
 public:
  explicit LateStore(int absent) : absent_(absent) {}
  BootReport boot_report() override {
    if (absent_-- > 0) throw Error(errc::tpm_absent, {"open", "the TPM", ""});
    return {{7}, {}, {}, true};
  }
  Protection protection() const override { return Protection::tpm; }
  NodeIdentity identity(const IdentityRequest&) override { unexpected(); }
  void adopt(const Approvals&) override { unexpected(); }
  KekRecord create(Generation) override { unexpected(); }
  RecoveryBlob duplicate_to_recovery(const KekRecord&) override { unexpected(); }
  JoinProof answer(const JoinChallenge&) override { unexpected(); }
  KekTransfer duplicate_to(const KekRecord&, const Peer&) override { unexpected(); }
  void import(const KekTransfer&, const std::vector<Bytes>&) override { unexpected(); }
  Digest prove(const KekRecord&, const Digest&) override { unexpected(); }
  std::vector<KekRecord> held() const override { unexpected(); }
  std::vector<Generation> kept() const override { unexpected(); }
  std::vector<std::string> warnings() override { unexpected(); }
  std::vector<Secret> group_keys(Generation, const std::vector<Uuid>&) override { return {}; }
  std::vector<Secret> proved_group_keys(const KekRecord&, const std::vector<Uuid>&) override { return {}; }
  void destroy(Generation) override { throw Error(errc::sealed_out, {"use", "the KEK", ""}); }
  void lock() override { std::this_thread::sleep_for(300ms); }

 private:
  [[noreturn]] static void unexpected() { throw std::logic_error("not part of this test"); }
  int absent_;
};

BootReport report(Keyring& keyring) {
  return test::await(keyring.with("report the boot state", [](KekStore& store) { return store.boot_report(); }));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(keyring)

BOOST_AUTO_TEST_CASE(tpm_that_appears_late_is_waited_for) {
  Keyring keyring(std::make_unique<LateStore>(2), 5s);
  BOOST_TEST(report(keyring).approved_now);
}

BOOST_AUTO_TEST_CASE(tpm_that_does_not_appear_is_an_error_when_patience_ends) {
  Keyring keyring(std::make_unique<LateStore>(1000), 5s, 300ms);
  const auto start = std::chrono::steady_clock::now();
  BOOST_CHECK_EXCEPTION(report(keyring), Error, [](const Error& e) { return e.code() == errc::tpm_absent; });
  BOOST_CHECK(std::chrono::steady_clock::now() - start >= 300ms);
}

BOOST_AUTO_TEST_CASE(other_errors_and_results_that_cannot_be_copied_come_back_at_once) {
  Keyring keyring(std::make_unique<LateStore>(0), 5s);
  BOOST_CHECK_EXCEPTION(test::await(keyring.with("destroy", [](KekStore& store) { store.destroy(1); })), Error,
                        [](const Error& e) { return e.code() == errc::sealed_out; });
  BOOST_TEST(test::await(keyring.with("open groups", [](KekStore& s) { return s.group_keys(1, {}); })).empty());
}

BOOST_AUTO_TEST_CASE(call_that_overruns_its_deadline_is_given_up_and_the_next_waits_until_the_store_is_free) {
  Keyring keyring(std::make_unique<LateStore>(0), 150ms);
  const auto hang = [](KekStore& store) { store.lock(); };
  BOOST_CHECK_EXCEPTION(test::await(keyring.with("lock", hang)), Error,
                        [](const Error& e) { return e.code() == errc::timed_out; });
  std::this_thread::sleep_for(300ms);
  BOOST_TEST(report(keyring).approved_now);
}

BOOST_AUTO_TEST_SUITE_END()
