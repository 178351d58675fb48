// Secrets: wiped when they end, locked, out of core dumps, and indifferent to the bytes they hold.
#define BOOST_TEST_DYN_LINK
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <optional>
#include <sstream>

#include "dmtarget/handle.hpp"
#include "dmtarget/secret.hpp"
#include "tests/support/refusal.hpp"

BOOST_AUTO_TEST_SUITE(dmbase_secret)

using namespace volcrypt;
using volcrypt::tests::refusal;

namespace {

// Memory of this process as the kernel sees it, whether or not the language says that an object lives there.
Bytes look_at(std::uintptr_t address, std::size_t size) {
  Fd memory(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
  BOOST_REQUIRE(memory);
  Bytes bytes(size);
  BOOST_REQUIRE(::pread(memory.get(), bytes.data(), size, static_cast<off_t>(address)) == static_cast<ssize_t>(size));
  return bytes;
}

std::uintptr_t address_of(const Secret& secret) { return reinterpret_cast<std::uintptr_t>(secret.data()); }

// OpenSSL's allocator links free blocks through their first 16 bytes; what stood behind them must be gone entirely, and
// of the first 16 no half may be left.
bool is_wiped(const Bytes& now, std::uint8_t filling) {
  bool tail = std::all_of(now.begin() + 16, now.end(), [](std::uint8_t b) { return b == 0; });
  return tail && std::count(now.begin(), now.begin() + 16, filling) < 4;
}

std::string smaps_flags_of(std::uintptr_t address) {
  std::ifstream smaps("/proc/self/smaps");
  std::string line;
  bool inside = false;
  while (std::getline(smaps, line)) {
    std::uintptr_t from = 0, to = 0;
    char dash = 0;
    std::istringstream head(line);
    if (head >> std::hex >> from >> dash >> to && dash == '-') inside = from <= address && address < to;
    if (inside && line.starts_with("VmFlags:")) return line + " ";
  }
  return "";
}

std::uint64_t locked_kib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  std::uint64_t kib = 0;
  while (status >> word) {
    if (word == "VmLck:") status >> kib;
  }
  return kib;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_secret_is_wiped_when_it_ends) {
  std::uintptr_t address = 0;
  {
    Secret secret(64);
    std::fill_n(secret.data(), 64, std::uint8_t{0xa5});
    address = address_of(secret);
    BOOST_TEST(look_at(address, 64) == Bytes(64, 0xa5));
  }
  BOOST_TEST(is_wiped(look_at(address, 64), 0xa5));
}

BOOST_AUTO_TEST_CASE(a_secret_that_is_overwritten_by_a_move_is_wiped_at_once) {
  Secret old(64), next(64);
  std::fill_n(old.data(), 64, std::uint8_t{0x5a});
  std::fill_n(next.data(), 64, std::uint8_t{0x11});
  std::uintptr_t address = address_of(old), next_address = address_of(next);
  old = std::move(next);
  BOOST_TEST(is_wiped(look_at(address, 64), 0x5a));
  BOOST_TEST(address_of(old) == next_address);
  BOOST_TEST(next.size() == 0U);  // NOLINT: what a moved-from Secret holds is the point
  BOOST_TEST(next.data() == nullptr);
}

BOOST_AUTO_TEST_CASE(a_secret_is_wiped_when_an_exception_ends_it) {
  std::uintptr_t address = 0;
  try {
    Secret secret(64);
    std::fill_n(secret.data(), 64, std::uint8_t{0xc3});
    address = address_of(secret);
    throw std::runtime_error("the world broke");
  } catch (const std::runtime_error&) {
  }
  BOOST_TEST(is_wiped(look_at(address, 64), 0xc3));
}

BOOST_AUTO_TEST_CASE(take_wipes_its_source_and_copy_does_not) {
  Bytes source(40, 0x77);
  Secret copied = Secret::copy_of(source);
  BOOST_TEST(source == Bytes(40, 0x77));
  Secret taken = Secret::take(source);
  BOOST_TEST(source == Bytes(40, 0x00));
  BOOST_TEST(equals(copied, taken));
}

BOOST_AUTO_TEST_CASE(secrets_live_in_locked_pages_that_no_core_dump_has) {
  Secret secret = Secret::random(32);
  std::string flags = smaps_flags_of(address_of(secret));
  BOOST_TEST(flags.find(" dd ") != std::string::npos, flags);  // MADV_DONTDUMP
  BOOST_TEST(flags.find(" lo ") != std::string::npos, flags);  // locked
  BOOST_TEST(locked_kib() >= 256U);
}

// FAILURES.md F: tinylabscom/mvm#729 cut a key at its first line feed.
BOOST_AUTO_TEST_CASE(keys_full_of_zeros_and_line_feeds_stay_whole) {
  for (std::uint8_t filling : {0x00, 0x0a, 0xff}) {
    Bytes key(volume_key_size, filling);
    Secret secret = Secret::copy_of(key);
    Secret again = secret.clone();
    BOOST_TEST(again.size() == volume_key_size);
    BOOST_TEST(Bytes(again.view().begin(), again.view().end()) == key);
    BOOST_TEST(equals(secret, again));
  }
}

BOOST_AUTO_TEST_CASE(equals_sees_every_byte_and_the_size) {
  Secret secret = Secret::random(64);
  for (std::size_t i = 0; i < 64; ++i) {
    Secret other = secret.clone();
    other.data()[i] ^= 1U;
    BOOST_TEST(!equals(secret, other));
  }
  BOOST_TEST(!equals(secret, Secret::copy_of(secret.view().first(63))));
  BOOST_TEST(equals(Secret(0), Secret(0)));
}

BOOST_AUTO_TEST_CASE(a_new_secret_is_zero_even_where_another_one_was) {
  for (int round = 0; round < 50; ++round) {
    Secret used(64);
    std::fill_n(used.data(), 64, std::uint8_t{0xee});
    used = Secret(0);
    Secret fresh(64);
    BOOST_TEST(Bytes(fresh.view().begin(), fresh.view().end()) == Bytes(64, 0));
  }
}

BOOST_AUTO_TEST_CASE(random_secrets_differ) { BOOST_TEST(!equals(Secret::random(32), Secret::random(32))); }

BOOST_AUTO_TEST_CASE(a_full_heap_is_an_error_and_gives_back_what_ends) {
  std::string text = refusal(errc::limit_exceeded, [] {
    std::vector<Secret> many;
    for (;;) many.emplace_back(4096);
  });
  BOOST_TEST(text.find("locked memory") != std::string::npos, text);
  BOOST_CHECK_NO_THROW(Secret(4096));
}

BOOST_AUTO_TEST_CASE(reserving_again_is_no_change_and_enlarging_is_refused) {
  Secret first(16);
  BOOST_CHECK_NO_THROW(reserve_secret_memory(256 * 1024));
  refusal(errc::wrong_state, [] { reserve_secret_memory(512 * 1024); });
  refusal(errc::invalid_argument, [] { reserve_secret_memory(100'000); });
}

// The heap is one per process, so another process has to meet the low limit. It leaves root, whom no limit binds.
BOOST_AUTO_TEST_CASE(memory_that_cannot_be_locked_is_refused_with_the_limit_named) {
  int ends[2];
  BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  Fd reader(ends[0]), writer(ends[1]);
  // A copy of this process would have the heap already: the program itself is started anew.
  pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    rlimit none{4096, 4096};
    ::setrlimit(RLIMIT_MEMLOCK, &none);
    ::dup2(writer.get(), 1);
    if (::getuid() == 0 && ::setuid(65534) != 0) ::_exit(9);
    ::execl("/proc/self/exe", "unit_dmbase", "--run_test=dmbase_secret/in_a_process_without_lockable_memory",
            "--log_level=all", "--color_output=no", static_cast<char*>(nullptr));
    ::_exit(8);
  }
  writer = Fd();
  std::string output;
  char buffer[512];
  for (ssize_t got = 0; (got = ::read(reader.get(), buffer, sizeof buffer)) > 0;) {
    output.append(buffer, static_cast<std::size_t>(got));
  }
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  BOOST_TEST(WEXITSTATUS(status) == 0, output);
  BOOST_TEST(output.find("RLIMIT_MEMLOCK, which is 4096 bytes now") != std::string::npos, output);
}

BOOST_AUTO_TEST_CASE(in_a_process_without_lockable_memory, *boost::unit_test::disabled()) {
  BOOST_TEST_MESSAGE(refusal(errc::no_lockable_memory, [] { reserve_secret_memory(256 * 1024); }));
  refusal(errc::no_lockable_memory, [] { Secret(32); });
}

BOOST_AUTO_TEST_SUITE_END()
