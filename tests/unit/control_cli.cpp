// volcryptctl without an agent: words to verbs, tables and documents as exact text, exit codes, passphrases.
#define BOOST_TEST_DYN_LINK
#include <fcntl.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>

#include "agent/cli/command_line.hpp"
#include "agent/cli/file.hpp"
#include "agent/cli/forecast.hpp"
#include "agent/cli/table.hpp"
#include "dmtarget/handle.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;
using namespace volcrypt::cli;

namespace {

ExitStatus status_of(const std::vector<std::string>& words) { return parse_command_line(words).status; }
bool is_usage(const Failure& failure) { return failure.status() == ExitStatus::usage; }

// A pipe with `text` in it, closed at the other end.
struct Descriptor {
  Fd reading;
  explicit Descriptor(std::string_view text) {
    int ends[2];
    BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    reading = Fd(ends[0]);
    const Fd writing(ends[1]);
    BOOST_REQUIRE(::write(writing.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
};

std::string text_of(const Secret& secret) { return {reinterpret_cast<const char*>(secret.data()), secret.size()}; }

}  // namespace

BOOST_AUTO_TEST_SUITE(command_line)

BOOST_AUTO_TEST_CASE(every_verb_of_the_manual_is_understood) {
  const std::vector<std::vector<std::string>> lines = {
      {"cluster", "init"},
      {"cluster", "init", "--without-tpm"},
      {"cluster", "init", "--name", "v", "--authority-file", "a", "--recovery-file", "r", "--pcrs", "7,14",
       "--reuse-keys"},
      {"enable", "feature-flag", "cluster-encryption"},
      {"enable", "cluster-encryption", "--protection", "software", "--check"},
      {"get", "clusterinfo"},
      {"get", "nodes"},
      {"get", "store"},
      {"store", "migrate", "etcd:a", "--store-authority", "ca", "--store-certificate", "c", "--store-key", "k",
       "--store-prefix", "/v/"},
      {"cluster", "init", "--store", "etcd:a,b", "--store-authority", "ca"},
      {"get", "volumes", "-o", "json"},
      {"-o", "yaml", "get", "volume", "data1"},
      {"create", "volume", "data1", "--device", "/dev/sdb", "--erase-existing-data", "--allow-discards"},
      {"attach", "data1"},
      {"attach", "--device", "/dev/sdb"},
      {"attach", "data1", "--device", "/dev/sdb"},
      {"attach", "data1", "--take-over"},
      {"attach", "data1", "--device", "/dev/sdb", "--take-over"},
      {"detach", "data1"},
      {"delete", "volume", "data1", "--yes"},
      {"forget", "volume", "data1", "--yes"},
      {"rotate", "cluster-root-key", "--wait", "--timeout", "60"},
      {"rotate", "cluster-root-key", "--abort"},
      {"header", "backup", "data1", "--output", "f"},
      {"header", "restore", "data1", "--device", "/dev/sdb", "--input", "f"},
      {"settle", "--timeout", "90"},
      {"node", "boot-state"},
      {"node", "approve-boot-state", "--authority-file", "f", "--pcr-digest", "00"},
      {"recovery", "verify", "--recovery-file", "f", "--passphrase-fd", "3"},
      {"recovery", "export", "--output", "f"},
      {"recovery", "open", "--device", "d", "--bundle", "b", "--recovery-file", "r", "--name", "n"},
      {"completion", "bash"},
  };
  for (const auto& line : lines) {
    const Parsed parsed = parse_command_line(line);
    BOOST_TEST_CONTEXT(line.front() << " " << line.back() << ": " << parsed.text) {
      BOOST_TEST(parsed.invocation.has_value());
    }
  }
}

BOOST_AUTO_TEST_CASE(wrong_words_are_usage_errors_with_a_way_out) {
  const std::vector<std::vector<std::string>> lines = {
      {},
      {"frobnicate"},
      {"get"},
      {"get", "volume"},
      {"create", "volume", "x"},
      {"get", "volumes", "surplus"},
      {"enable", "cluster-encryption", "--protection", "none"},
      {"get", "volumes", "-o", "xml"},
      {"settle", "--timeout", "-1"},
      {"attach", "--device", "/dev/sdb", "--take-over"},
      {"settle", "--timeout", "soon"},
      {"recovery", "verify"},
      {"recovery", "verify", "--recovery-file", "f", "--passphrase", "x"},
      {"cluster", "init", "--without-tpm", "--pcrs", "7"},
      {"rotate", "cluster-root-key", "--abort", "--wait"},
      {"cluster", "init", "--passphrase-fd", "secret"}};
  for (const auto& line : lines) {
    const Parsed parsed = parse_command_line(line);
    BOOST_TEST_CONTEXT((line.empty() ? "nothing" : line.back())) {
      BOOST_TEST(!parsed.invocation);
      BOOST_CHECK(parsed.status == ExitStatus::usage);
      BOOST_TEST(parsed.text.rfind("volcryptctl: cannot read the command line: ", 0) == 0u);
      BOOST_TEST(parsed.text.find("--help") != std::string::npos);
    }
  }
}

BOOST_AUTO_TEST_CASE(every_verb_has_help_with_an_example) {
  for (const std::vector<std::string>& verb :
       std::vector<std::vector<std::string>>{{"cluster", "init"},
                                             {"enable", "cluster-encryption"},
                                             {"enable", "feature-flag", "cluster-encryption"},
                                             {"get", "clusterinfo"},
                                             {"get", "nodes"},
                                             {"get", "volumes"},
                                             {"get", "volume"},
                                             {"create", "volume"},
                                             {"attach"},
                                             {"detach"},
                                             {"delete", "volume"},
                                             {"forget", "volume"},
                                             {"rotate", "cluster-root-key"},
                                             {"header", "backup"},
                                             {"header", "restore"},
                                             {"settle"},
                                             {"node", "boot-state"},
                                             {"node", "approve-boot-state"},
                                             {"recovery", "verify"},
                                             {"recovery", "export"},
                                             {"recovery", "open"},
                                             {"completion", "bash"}}) {
    auto words = verb;
    words.push_back("--help");
    const Parsed parsed = parse_command_line(words);
    BOOST_TEST_CONTEXT(verb.back() << ": " << parsed.text) {
      BOOST_CHECK(parsed.status == ExitStatus::done);
      BOOST_TEST(!parsed.invocation);
      BOOST_TEST(parsed.text.find("Example:\n  ") != std::string::npos);
    }
  }
}

BOOST_AUTO_TEST_CASE(settings_are_read_before_and_after_the_verb) {
  const auto parsed = parse_command_line(
      {"--socket", "/x", "get", "volumes", "-o", "json", "--passphrase-fd", "3", "--passphrase-fd", "4"});
  BOOST_REQUIRE(parsed.invocation);
  BOOST_TEST(parsed.invocation->settings.socket == "/x");
  BOOST_CHECK(parsed.invocation->settings.format == Format::json);
  BOOST_TEST(parsed.invocation->settings.passphrase_fds == (std::vector<int>{3, 4}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(version_is_told) {
  const auto parsed = parse_command_line({"--version"});
  BOOST_CHECK(parsed.status == ExitStatus::done);
  BOOST_TEST(parsed.text.rfind("volcryptctl ", 0) == 0u);
  BOOST_CHECK(status_of({"--help"}) == ExitStatus::done);
}

BOOST_AUTO_TEST_CASE(pcr_lists_are_sorted_and_checked) {
  BOOST_TEST(parse_pcrs("none").empty());
  BOOST_TEST(parse_pcrs("14,7,7") == (std::vector<std::uint32_t>{7, 14}), boost::test_tools::per_element());
  for (const auto* bad : {"", ",", "7,", "16", "-1", "x", "7 ", "None"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_CHECK_EXCEPTION(parse_pcrs(bad), Failure, is_usage); }
  }
}

BOOST_AUTO_TEST_CASE(the_completion_script_knows_every_first_word) {
  for (const auto* word : {"cluster", "enable", "rotate", "get", "create", "delete", "attach", "detach", "header",
                           "settle", "node", "recovery"}) {
    BOOST_TEST(std::string(bash_completion).find(word) != std::string::npos);
  }
  BOOST_TEST(std::string(bash_completion).find("complete -F _volcryptctl volcryptctl\n") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(text)

BOOST_AUTO_TEST_CASE(a_table_is_aligned_without_trailing_blanks) {
  Table table({{"NAME"}, {"KEK", Align::right}, {"MAPPING"}});
  table.add({"data1", "12", "/dev/mapper/data1"});
  table.add({"a-longer-name", "1", ""});
  BOOST_TEST(table.text() ==
             "NAME           KEK  MAPPING\n"
             "data1           12  /dev/mapper/data1\n"
             "a-longer-name    1  -\n");
}

BOOST_AUTO_TEST_CASE(an_empty_table_has_its_titles) {
  BOOST_TEST(Table({{"NAME"}, {"STATE"}}).text() == "NAME  STATE\n");
}

BOOST_AUTO_TEST_CASE(control_characters_of_a_name_do_not_reach_the_terminal) {
  Table table({{"NAME"}});
  table.add({"a\033[31mb\nc"});
  BOOST_TEST(table.text() == "NAME\na?[31mb?c\n");
}

BOOST_AUTO_TEST_CASE(a_listing_keeps_values_under_each_other) {
  Listing listing;
  listing.add("Name", "x");
  listing.add("Warnings", "one\ntwo");
  listing.add("Empty", "");
  BOOST_TEST(listing.text() ==
             "Name:      x\n"
             "Warnings:  one\n"
             "           two\n"
             "Empty:\n");
}

BOOST_AUTO_TEST_CASE(sizes_are_in_binary_units) {
  BOOST_TEST(human_size(0) == "0 B");
  BOOST_TEST(human_size(1023) == "1023 B");
  BOOST_TEST(human_size(1024) == "1.0 KiB");
  BOOST_TEST(human_size(1024 * 1024 - 1) == "1.0 MiB");
  BOOST_TEST(human_size(8ull << 30) == "8.0 GiB");
  BOOST_TEST(human_size(~0ull) == "16.0 EiB");
}

BOOST_AUTO_TEST_CASE(a_bar_is_never_longer_than_it_is) {
  BOOST_TEST(progress_bar(0, 4, 4) == "[....]   0%");
  BOOST_TEST(progress_bar(1, 3, 6) == "[##....]  33%");
  BOOST_TEST(progress_bar(9, 4, 4) == "[####] 100%");
  BOOST_TEST(progress_bar(0, 0, 4) == "[####] 100%");
}

BOOST_AUTO_TEST_CASE(json_is_indented_by_two) {
  const auto value = boost::json::parse(R"({"a":1,"b":[],"c":{"d":["x","y"],"e":null}})");
  BOOST_TEST(to_pretty_json(value) ==
             "{\n  \"a\": 1,\n  \"b\": [],\n  \"c\": {\n    \"d\": [\n      \"x\",\n      \"y\"\n    ],\n    \"e\": "
             "null\n  }\n}\n");
}

BOOST_AUTO_TEST_CASE(yaml_keeps_the_types_of_json) {
  const auto value = boost::json::parse(
      R"({"name":"data1","path":"/dev/mapper/x","number":"12","word":"yes","empty":"","null":null,"is":true,"n":18446744073709551615,"list":[1,"a: b"],"none":[],"in":{"x":-1}})");
  BOOST_TEST(to_yaml(value) ==
             "name: data1\npath: /dev/mapper/x\nnumber: \"12\"\nword: \"yes\"\nempty: \"\"\n\"null\": ~\nis: true\n"
             "n: 18446744073709551615\nlist:\n  - 1\n  - \"a: b\"\nnone: []\nin:\n  x: -1\n");
}

BOOST_AUTO_TEST_CASE(forecast_says_what_the_next_boot_does) {
  const auto of = [](const char* text) { return forecast(boost::json::parse(text)); };
  BOOST_TEST(of(R"({"pcrs":[],"approvedNow":true,"approved":[]})") ==
             "No PCRs are bound: the keys open at every boot, whatever system is booted.");
  const auto good = of(R"({"pcrs":[7],"approvedNow":true,"approved":[{"digest":"aa","matchesNow":true}]})");
  BOOST_TEST(good.rfind("The next boot opens the volumes if ", 0) == 0u);
  BOOST_TEST(good.find("Also approved") == std::string::npos);
  const auto sealed = of(R"({"pcrs":[7,14],"approvedNow":false,"approved":[{"digest":"aa","matchesNow":false}]})");
  BOOST_TEST(sealed.rfind("SEALED OUT: ", 0) == 0u);
  BOOST_TEST(sealed.find("PCR 7, 14") != std::string::npos);
  BOOST_TEST(sealed.find("Also approved: 1 other boot state,") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(causes_have_stable_exit_codes) {
  BOOST_CHECK(exit_status_of("wrong_state", 409) == ExitStatus::refused);
  BOOST_CHECK(exit_status_of("no_such_volume", 404) == ExitStatus::not_found);
  BOOST_CHECK(exit_status_of("sealed_out", 503) == ExitStatus::tpm);
  BOOST_CHECK(exit_status_of("not_ours", 422) == ExitStatus::not_ours);
  BOOST_CHECK(exit_status_of("wrong_passphrase", 0) == ExitStatus::wrong_key);
  BOOST_CHECK(exit_status_of("forbidden", 403) == ExitStatus::forbidden);
  BOOST_CHECK(exit_status_of("something_newer", 409) == ExitStatus::refused);
  BOOST_CHECK(exit_status_of("something_newer", 500) == ExitStatus::failed);
  BOOST_TEST(static_cast<int>(ExitStatus::tpm) == 10);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(passphrase)

BOOST_AUTO_TEST_CASE(one_newline_at_the_end_does_not_count_and_others_do) {
  // A key cut at its first 0x0a has cost other projects their users' data (FAILURES, F).
  for (const auto& [given, expected] :
       std::vector<std::pair<std::string, std::string>>{{"word", "word"},
                                                        {"word\n", "word"},
                                                        {"word\n\n", "word\n"},
                                                        {"a\nb\n", "a\nb"},
                                                        {std::string("a\0b", 3), std::string("a\0b", 3)}}) {
    BOOST_TEST(text_of(read_passphrase(Descriptor(given).reading.get())) == expected);
  }
}

BOOST_AUTO_TEST_CASE(descriptors_are_used_in_their_order) {
  const Descriptor first("first one\n"), second("second one\n");
  Passphrases passphrases({first.reading.get(), second.reading.get()});
  BOOST_TEST(text_of(passphrases.next("a", Asking::twice)) == "first one");
  BOOST_TEST(text_of(passphrases.next("b", Asking::once)) == "second one");
}

BOOST_AUTO_TEST_CASE(the_limit_is_1024_bytes) {
  BOOST_TEST(read_passphrase(Descriptor(std::string(1024, 'x') + "\n").reading.get()).size() == 1024u);
  BOOST_CHECK_EXCEPTION(read_passphrase(Descriptor(std::string(1025, 'x')).reading.get()), Failure, is_usage);
  BOOST_CHECK_EXCEPTION(read_passphrase(Descriptor(std::string(5000, 'x')).reading.get()), Failure, is_usage);
}

BOOST_AUTO_TEST_CASE(unusable_passphrases_are_refused) {
  const auto next = [](const char* text, Asking asking) {
    const Descriptor descriptor(text);
    Passphrases({descriptor.reading.get()}).next("the authority key", asking);
  };
  BOOST_CHECK_EXCEPTION(next("\n", Asking::once), Failure, is_usage);
  BOOST_CHECK_EXCEPTION(next("short\n", Asking::twice), Failure, is_usage);
  BOOST_CHECK_NO_THROW(next("short\n", Asking::once));
  BOOST_CHECK_EXCEPTION(Passphrases({1023}).next("the authority key", Asking::once), Failure, is_usage);
}

BOOST_AUTO_TEST_CASE(a_new_file_never_replaces_one) {
  const tests::TemporaryDirectory directory;
  const auto file = directory.path() / "out";
  write_new_file(file, as_bytes("one"));
  BOOST_CHECK_EXCEPTION(write_new_file(file, as_bytes("two")), Failure,
                        [](const Failure& failure) { return failure.status() == ExitStatus::refused; });
  BOOST_TEST(read_whole_file(file, 10).size() == 3u);
}

BOOST_AUTO_TEST_SUITE_END()
