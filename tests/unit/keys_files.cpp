// The files of a KEK store: two copies, damage, numbers that are never used twice, strict documents.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "agent/keys/kek_files.hpp"
#include "dmtarget/error.hpp"

using namespace volcrypt;
using namespace volcrypt::keys;
namespace fs = std::filesystem;

namespace {

struct Directory {
  fs::path path = [] {
    char name[] = "/tmp/volcrypt-keys-XXXXXX";
    if (mkdtemp(name) == nullptr) throw std::runtime_error("no temporary directory");
    return fs::path(name);
  }();
  ~Directory() { fs::remove_all(path); }

  std::string get(const char* name) const {
    std::ifstream in(path / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void put(const char* name, const std::string& content) const {
    std::ofstream(path / name, std::ios::binary | std::ios::trunc) << content;
  }
  std::size_t files() const { return std::size_t(std::distance(fs::directory_iterator(path), {})); }
};

auto because(errc cause) {
  return [cause](const Error& e) { return e.code() == cause; };
}

StoredKek kek(Generation generation) {
  return {
      {generation, Protection::software, Bytes(34, 7), {}, {1, 2, 3}, 4}, Bytes(100, std::uint8_t(generation)), {9}};
}

std::string text(const std::optional<Secret>& secret) {
  BOOST_REQUIRE(secret.has_value());
  return {reinterpret_cast<const char*>(secret->data()), secret->size()};
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(kept_file, Directory)

BOOST_AUTO_TEST_CASE(document_is_read_back_and_the_newest_counts) {
  KeptFile file(path / "doc");
  BOOST_TEST(!file.exists());
  BOOST_TEST(!file.read().has_value());
  file.write(as_bytes("one"));
  file.write(as_bytes("two"));
  BOOST_TEST(text(file.read()) == "two");
  BOOST_TEST(get("doc") == get("doc.copy"));
  BOOST_TEST((fs::status(path / "doc").permissions() == (fs::perms::owner_read | fs::perms::owner_write)));
}

BOOST_AUTO_TEST_CASE(file_cut_between_its_two_writes_gives_the_new_document_and_is_repaired) {
  KeptFile file(path / "doc");
  file.write(as_bytes("one"));
  const std::string old = get("doc");
  file.write(as_bytes("two"));
  put("doc.copy", old);
  BOOST_TEST(text(file.read()) == "two");
  BOOST_TEST(file.repair());
  BOOST_TEST(!file.repair());
  BOOST_TEST(get("doc") == get("doc.copy"));
  BOOST_TEST(text(file.read()) == "two");
}

BOOST_AUTO_TEST_CASE(one_file_damaged_at_any_byte_or_cut_anywhere_is_made_good_from_the_other) {
  KeptFile file(path / "doc");
  file.write(as_bytes("a document with a zero \n and a line"));
  const std::string good = get("doc");
  for (const char* victim : {"doc", "doc.copy"}) {
    for (std::size_t at = 0; at < good.size(); ++at) {
      std::string changed = good;
      changed[at] = char(changed[at] ^ 0x01);
      put(victim, changed);
      BOOST_TEST(text(file.read()) == "a document with a zero \n and a line");
      put(victim, good.substr(0, at));
      BOOST_TEST(text(file.read()) == "a document with a zero \n and a line");
    }
    fs::remove(path / victim);
    BOOST_TEST(file.repair());
    BOOST_TEST(get("doc") == get("doc.copy"));
    put(victim, get(victim == std::string("doc") ? "doc.copy" : "doc"));
    put("doc", good), put("doc.copy", good);
  }
}

BOOST_AUTO_TEST_CASE(both_files_damaged_are_an_error_and_left_as_they_are) {
  KeptFile file(path / "doc");
  file.write(as_bytes("document"));
  const std::string good = get("doc");
  for (const std::string& damage :
       {std::string(), good.substr(0, good.size() - 1), good + "x", std::string(good.size(), '\0')}) {
    put("doc", damage), put("doc.copy", damage);
    BOOST_CHECK_EXCEPTION(file.read(), Error, because(errc::store_damaged));
    BOOST_CHECK_EXCEPTION(file.repair(), Error, because(errc::store_damaged));
    BOOST_TEST(file.exists());
    BOOST_TEST(get("doc") == damage);
  }
}

BOOST_AUTO_TEST_CASE(destroyed_file_is_gone_with_its_leftovers) {
  KeptFile file(path / "doc");
  file.write(as_bytes("document"));
  put(".doc.new", "left by a crash");
  file.destroy();
  BOOST_TEST(files() == 0U);
  file.destroy();
}

BOOST_AUTO_TEST_CASE(oversized_document_is_refused_unwritten) {
  KeptFile file(path / "doc");
  BOOST_CHECK_EXCEPTION(file.write(Bytes(KeptFile::document_limit + 1)), Error, because(errc::limit_exceeded));
  BOOST_TEST(files() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(kek_files, Directory)

BOOST_AUTO_TEST_CASE(keks_are_found_again_with_their_records) {
  { KekFiles(path).add(kek(2)); }
  KekFiles files(path);
  files.add(kek(10));
  const StoredKek found = files.get(2);
  BOOST_TEST(found.blob == kek(2).blob);
  BOOST_TEST(found.record.name == kek(2).record.name);
  BOOST_TEST(found.record.birth == kek(2).record.birth);
  BOOST_TEST(found.record.trust_epoch == 4U);
  BOOST_REQUIRE_EQUAL(files.records().size(), 2U);
  BOOST_TEST(files.records()[0].generation == 2U);
  BOOST_TEST(files.records()[1].generation == 10U);
  BOOST_CHECK_EXCEPTION(files.get(3), Error, because(errc::wrong_generation));
}

BOOST_AUTO_TEST_CASE(number_is_never_used_twice_even_after_it_was_destroyed_or_damaged) {
  KekFiles files(path);
  files.add(kek(2));
  BOOST_CHECK_EXCEPTION(files.add(kek(2)), Error, because(errc::already_exists));
  files.destroy(2);
  BOOST_TEST(files.records().empty());
  BOOST_CHECK_EXCEPTION(KekFiles(path).add(kek(2)), Error, because(errc::already_exists));
  BOOST_CHECK_EXCEPTION(KekFiles(path).add(kek(1)), Error, because(errc::already_exists));
  files.add(kek(3));
  put("kek-3", ""), put("kek-3.copy", "");
  BOOST_CHECK_EXCEPTION(files.add(kek(3)), Error, because(errc::already_exists));
  BOOST_CHECK_EXCEPTION(files.add(kek(0)), Error, because(errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(damaged_generation_does_not_hide_the_others) {
  KekFiles files(path);
  files.add(kek(1)), files.add(kek(2)), files.add(kek(3));
  put("kek-2", "x"), put("kek-2.copy", "x");
  KekFiles again(path);
  BOOST_TEST(again.records().size() == 2U);
  BOOST_CHECK_EXCEPTION(again.get(2), Error, because(errc::store_damaged));
  BOOST_TEST(again.get(3).blob == kek(3).blob);
  put("retired", "x"), put("retired.copy", "");
  KekFiles third(path);
  BOOST_TEST(third.get(3).blob == kek(3).blob);
  BOOST_CHECK_EXCEPTION(third.add(kek(4)), Error, because(errc::store_damaged));
}

BOOST_AUTO_TEST_CASE(file_of_another_generation_under_this_name_is_refused) {
  KekFiles files(path);
  files.add(kek(1));
  put("kek-2", get("kek-1")), put("kek-2.copy", get("kek-1"));
  BOOST_CHECK_EXCEPTION(files.get(2), Error, because(errc::store_damaged));
}

BOOST_AUTO_TEST_CASE(destroy_that_was_cut_short_is_finished_at_the_next_start_and_never_undone) {
  KekFiles(path).add(kek(5));
  KeptFile(path / "retired").write(as_bytes(R"({"version":1,"highest":"5","destroying":"5"})"));
  put("kek-5", std::string(get("kek-5").size(), '\0'));  // overwritten, and then the power went
  KekFiles files(path);
  BOOST_TEST(files.records().empty());
  BOOST_TEST(!fs::exists(path / "kek-5.copy"));
  files.destroy(5);
  BOOST_CHECK_EXCEPTION(files.add(kek(5)), Error, because(errc::already_exists));
}

BOOST_AUTO_TEST_CASE(single_damaged_files_are_repaired_at_start_and_named) {
  KekFiles(path).add(kek(1));
  put("kek-1.copy", "x");
  const KekFiles files(path);
  BOOST_REQUIRE_EQUAL(files.repaired().size(), 1U);
  BOOST_TEST(files.repaired()[0] == "kek-1");
  BOOST_TEST(get("kek-1") == get("kek-1.copy"));
  BOOST_TEST(KekFiles(path).repaired().empty());
}

BOOST_AUTO_TEST_CASE(approvals_are_kept_whole_and_never_go_back_to_an_older_epoch) {
  KekFiles files(path);
  BOOST_CHECK_EXCEPTION(files.get_approvals(), Error, because(errc::wrong_state));
  Approvals approvals;
  approvals.authority_public = {1, 2};
  approvals.cluster = Uuid::random(), approvals.node = Uuid::random();
  approvals.trust_epoch = 3;
  approvals.recovery_public = {3}, approvals.recovery_approval = {4};
  approvals.duplication_approvals = {{2, {5}}, {3, {6, 7}}};
  approvals.pcrs = {7, 14};
  approvals.boot_states = {{{8}, {9}, {10}, {11}}, {{12}, {13}, {14}, {15}}};
  files.save(approvals);
  const Approvals read = KekFiles(path).get_approvals();
  BOOST_TEST(to_json(read) == to_json(approvals));
  BOOST_TEST(read.boot_states[1].import == Bytes{15});
  BOOST_TEST(read.duplication_approvals[1].trust_epoch == 3U);
  BOOST_TEST(read.duplication_approvals[1].signature == (Bytes{6, 7}));
  approvals.trust_epoch = 2;
  BOOST_CHECK_EXCEPTION(files.save(approvals), Error, because(errc::too_old));
  BOOST_TEST(files.get_approvals().trust_epoch == 3U);
}

BOOST_AUTO_TEST_CASE(binding_may_change_until_a_kek_was_made_and_takes_the_approvals_with_it) {
  KekFiles files(path);
  const IdentityRequest first{{1}, Uuid::random(), Uuid::random()}, second{{1}, Uuid::random(), first.node};
  BOOST_TEST(files.bind(first));
  BOOST_TEST(!files.bind(first));
  BOOST_TEST(files.bind(second));
  BOOST_TEST((KekFiles(path).binding() == second));
  files.save(Approvals{});
  BOOST_TEST(files.bind(first));
  BOOST_TEST(!files.approvals());
  files.save(Approvals{});
  files.add(kek(1));
  BOOST_CHECK_EXCEPTION(files.bind(second), Error, because(errc::wrong_state));
  files.destroy(1);
  BOOST_CHECK_EXCEPTION(files.bind(second), Error, because(errc::wrong_state));
  BOOST_TEST(!files.bind(first));
  BOOST_TEST(files.approvals().has_value());
}

BOOST_AUTO_TEST_CASE(documents_of_another_version_or_shape_are_refused) {
  const std::string good = to_json(kek(1));
  const auto changed = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    const auto at = text.find(from);
    BOOST_REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  BOOST_CHECK_EXCEPTION(parse_stored_kek(changed("\"version\":1", "\"version\":2")), Error,
                        because(errc::token_version));
  for (const std::string& text :
       {changed("\"generation\":\"1\"", "\"generation\":\"0\""), changed("\"generation\":\"1\"", "\"generation\":1"),
        changed("software", "Software"), changed("\"blob\"", "\"blub\""), changed("volcrypt kek", "volcrypt key"),
        changed("\"version\":1", "\"version\":1,\"more\":2"), changed("\"version\":1", "\"version\":1,\"version\":1"),
        good.substr(0, good.size() - 1), good + "x", std::string("[]"), std::string()}) {
    BOOST_CHECK_EXCEPTION(parse_stored_kek(text), Error, because(errc::store_damaged));
  }
}

BOOST_AUTO_TEST_SUITE_END()
