// The KEK store on the kernel's resource manager (/dev/tpmrm0), beside a program that uses all of its own slots, and in
// the ways that other programs can be in its way. Runs inside of a machine, as root (tpmrm.cpp starts it).
// FAILURES.md D: clevis#98, safeboot#159, tpm2-openssl#4 and #58 (object slots), keylime#656 (sessions that stay).
#define BOOST_TEST_DYN_LINK
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <csignal>
#include <iostream>
#include <optional>

#include "agent/keys/authority.hpp"
#include "agent/keys/recovery.hpp"
#include "agent/keys/tpm/attestation.hpp"
#include "agent/keys/tpm/tpm_context.hpp"
#include "agent/keys/tpm/tpm_kek_store.hpp"
#include "agent/keys/tpm/tss_error.hpp"
#include "dmtarget/canonical.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/handle.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
using tpm::TpmContext;

namespace {

const std::string resource_manager = "device:/dev/tpmrm0", chip = "device:/dev/tpm0";
constexpr std::size_t slots = 3;  // of objects and of sessions that the kernel gives to one open file

// A store that went through identity() and adopt(), bound to PCR 7.
struct Node {
  explicit Node(const std::string& tcti = resource_manager) {
    options.tcti = tcti;
    options.directory = directory.path() / "keys";
    restart();
    const NodeIdentity identity = store->identity({authority.public_der(), cluster, node});
    const Bytes pcr7 = store->boot_report().values.at(7).second;
    const Digest digest = sha256(pcr7);
    store->adopt(
        approve_node(authority, {identity, node, 1, recovery.public_point(), {7}, {digest.begin(), digest.end()}}));
  }
  void restart() {
    store.reset();
    store = std::make_unique<TpmKekStore>(options);
  }
  Secret group_key(const Uuid& group) { return std::move(store->group_keys(1, {group}).front()); }

  tests::TemporaryDirectory directory;
  TpmStoreOptions options;
  const Uuid cluster = Uuid::random(), node = Uuid::random();
  AdminKey authority = AdminKey::generate(AdminKey::Purpose::authority, cluster);
  AdminKey recovery = AdminKey::generate(AdminKey::Purpose::recovery, cluster);
  std::unique_ptr<TpmKekStore> store;
};

tpm::Transient plain_session(ESYS_CONTEXT* esys) {
  TPMT_SYM_DEF none{};
  none.algorithm = TPM2_ALG_NULL;
  ESYS_TR session = ESYS_TR_NONE;
  tpm::check(Esys_StartAuthSession(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr,
                                   TPM2_SE_HMAC, &none, TPM2_ALG_SHA256, &session),
             "TPM2_StartAuthSession", "the TPM");
  tpm::check(Esys_TRSess_SetAttributes(esys, session, TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_AUDIT, 0xFF),
             "the session set-up", "a session");
  return tpm::Transient(esys, session);
}

// Every slot of one connection, in use for as long as it lives.
struct FullConnection {
  explicit FullConnection(const std::string& tcti) : context(tcti) {
    for (std::size_t i = 0; i < slots; ++i) {
      objects.push_back(std::move(tpm::make_attestation_key(context.esys()).object));
      sessions.push_back(plain_session(context.esys()));
    }
  }
  void use_all() {
    for (const tpm::Transient& object : objects) {
      TPM2B_PUBLIC* area = nullptr;
      tpm::check(Esys_ReadPublic(context.esys(), object.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &area, nullptr,
                                 nullptr),
                 "TPM2_ReadPublic", "another program's object");
      const tpm::Returned<TPM2B_PUBLIC> freed(area);
    }
    for (const tpm::Transient& session : sessions) {
      TPM2B_DIGEST* bytes = nullptr;
      tpm::check(Esys_GetRandom(context.esys(), session.get(), ESYS_TR_NONE, ESYS_TR_NONE, 16, &bytes),
                 "TPM2_GetRandom", "another program's session");
      const tpm::Returned<TPM2B_DIGEST> freed(bytes);
    }
  }

  TpmContext context;
  std::vector<tpm::Transient> objects, sessions;
};

// Another program: a process that fills its connection and uses all of it until it is told to end.
class OtherProgram {
 public:
  OtherProgram() {
    int ready[2], stop[2];
    BOOST_REQUIRE(::pipe2(ready, O_CLOEXEC) == 0 && ::pipe2(stop, O_CLOEXEC) == 0);
    ready_ = Fd(ready[0]), stop_ = Fd(stop[1]);
    const Fd ready_writer(ready[1]), stop_reader(stop[0]);
    pid_ = ::fork();
    BOOST_REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      stop_ = Fd();
      ::_exit(live(ready_writer.get(), stop_reader.get()));
    }
  }
  ~OtherProgram() {
    if (pid_ > 0) ::kill(pid_, SIGKILL), ::waitpid(pid_, nullptr, 0);
  }
  OtherProgram(const OtherProgram&) = delete;
  OtherProgram& operator=(const OtherProgram&) = delete;

  void wait_until_full() {
    char byte = 0;
    BOOST_REQUIRE(::read(ready_.get(), &byte, 1) == 1);
  }
  // How often it used everything; throws the test out when any of it failed.
  unsigned end() {
    stop_ = Fd();
    unsigned rounds = 0;
    BOOST_TEST(::read(ready_.get(), &rounds, sizeof rounds) == ssize_t(sizeof rounds));
    int status = 0;
    BOOST_REQUIRE(::waitpid(std::exchange(pid_, -1), &status, 0) > 0);
    BOOST_TEST(status == 0);
    return rounds;
  }

 private:
  static int live(int ready, int stop) {
    try {
      FullConnection connection(resource_manager);
      unsigned rounds = 0;
      connection.use_all();
      if (::write(ready, "r", 1) != 1) return 2;
      for (pollfd ended{stop, POLLIN, 0}; ::poll(&ended, 1, 0) == 0; ++rounds) connection.use_all();
      return ::write(ready, &rounds, sizeof rounds) == ssize_t(sizeof rounds) ? 0 : 2;
    } catch (const std::exception& error) {
      std::cerr << "the other program: " << error.what() << '\n';
      return 1;
    }
  }

  Fd ready_, stop_;
  pid_t pid_ = -1;
};

template <class Call>
std::optional<Error> error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

// What the chip itself holds between two commands of the resource manager.
struct Held {
  std::size_t objects, loaded_sessions, saved_sessions, persistent;
  bool operator==(const Held&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Held& held) {
  return out << held.objects << " objects, " << held.loaded_sessions << " and " << held.saved_sessions << " sessions, "
             << held.persistent << " persistent";
}
Held held_by_the_chip() {
  const TpmContext context(chip);
  const auto count = [&](TPM2_HANDLE first) { return tpm::handles_of(context.esys(), first).size(); };
  return {count(TPM2_TRANSIENT_FIRST), count(TPM2_LOADED_SESSION_FIRST), count(TPM2_ACTIVE_SESSION_FIRST),
          count(TPM2_PERSISTENT_FIRST)};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tpmrm)

BOOST_AUTO_TEST_CASE(the_store_works_beside_a_program_that_holds_all_of_its_slots) {
  OtherProgram other;
  other.wait_until_full();
  Node node;
  const KekRecord record = node.store->create(1);
  const Digest proof = node.store->prove(record, Digest{});
  const RecoveryBlob blob = node.store->duplicate_to_recovery(record);
  const Uuid group = Uuid::random();
  const Secret key = node.group_key(group);
  const RecoveredKek recovered = RecoveredKek::open(blob, node.recovery, node.cluster);
  BOOST_TEST(equals(recovered.group_key(node.cluster, group), key));

  const Held before = held_by_the_chip();
  BOOST_TEST(before.objects == 0U);            // all of them are with the kernel
  BOOST_TEST(before.saved_sessions == slots);  // the other program's; none of ours is idle
  for (int i = 0; i < 200; ++i) BOOST_REQUIRE(equals(node.group_key(group), key));
  BOOST_TEST(held_by_the_chip() == before);

  node.restart();
  BOOST_TEST(node.store->prove(record, Digest{}) == proof);
  BOOST_TEST(equals(node.group_key(group), key));
  BOOST_TEST(other.end() > 10U);  // it worked all the time
  BOOST_TEST(held_by_the_chip().saved_sessions == 0U);
}

// Below the resource manager somebody fills the chip: the kernel cannot bring our KEK back in.
BOOST_AUTO_TEST_CASE(a_chip_filled_below_the_resource_manager_is_an_error_that_says_so_and_the_next_call_works) {
  Node node;
  node.store->create(1);
  const Uuid group = Uuid::random();
  const Secret key = node.group_key(group);
  for (const bool loaded : {true, false}) {
    if (!loaded) node.store->lock();
    {
      const FullConnection full(chip);
      const auto error = error_of([&] { node.group_key(group); });
      BOOST_REQUIRE(error.has_value());
      BOOST_TEST_MESSAGE(error->what());
      BOOST_TEST(!error->way_out().empty(), error->what());
    }
    BOOST_TEST(equals(node.group_key(group), key));
  }
}

BOOST_AUTO_TEST_CASE(a_device_that_another_program_holds_is_told_as_busy_and_the_next_call_works) {
  Node node(chip);
  node.store->create(1);
  const Uuid group = Uuid::random();
  const Secret key = node.group_key(group);
  node.store->lock();
  {
    const Fd holder(::open("/dev/tpm0", O_RDWR | O_CLOEXEC));
    BOOST_REQUIRE(static_cast<bool>(holder));
    const auto error = error_of([&] { node.group_key(group); });
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST_MESSAGE(error->what());
    BOOST_TEST((error->code() == errc::tpm_absent));
    BOOST_TEST(std::string(error->what()).find("busy") != std::string::npos, error->what());
  }
  BOOST_TEST(equals(node.group_key(group), key));
}

BOOST_AUTO_TEST_SUITE_END()
