// Every command of volcryptctl that we tell people to run can be run: those in the texts of READMEs and manual pages,
// in the units, and in the string literals of our programs are parsed by the command line itself. In literals a command
// stands in backticks, so that its end can be seen; what is put in at run time counts as one word.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cli/command_line.hpp"

namespace fs = std::filesystem;

namespace {

const fs::path root = VOLCRYPT_SOURCES;
const std::string program = "volcryptctl ";

std::string content_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  BOOST_REQUIRE_MESSAGE(stream.is_open(), file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<fs::path> files_with(const std::vector<std::string>& extensions) {
  std::vector<fs::path> files = {root / "README.md", root / "CHANGELOG.md"};
  for (const auto* folder : {"agent", "dmtarget", "scripts", "systemd", "tests", "udev"})
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
      if (entry.is_regular_file()) files.push_back(entry.path());
  std::erase_if(files, [&](const fs::path& file) {
    return std::find(extensions.begin(), extensions.end(), file.extension()) == extensions.end();
  });
  return files;
}

// The words after the program's name, up to a comment, without the shell's redirections.
std::vector<std::string> words_of(const std::string& command) {
  std::vector<std::string> words;
  std::istringstream stream(command.substr(0, command.find(" # ")));
  for (std::string word; stream >> word;)
    if (word.find_first_of("<>") == std::string::npos) words.push_back(word);
  return words;
}

// How many commands were looked at.
struct Told {
  unsigned commands = 0;
  void check(const fs::path& file, const std::string& command) {
    const auto parsed = volcrypt::cli::parse_command_line(words_of(command));
    ++commands;
    BOOST_TEST(parsed.invocation.has_value(), file.lexically_relative(root)
                                                  << ": " << program << command << ": " << parsed.text);
  }
  // Those within backticks.
  void check_quoted(const fs::path& file, const std::string& text) {
    const std::string begin = "`" + program;
    for (auto at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1))
      check(file, text.substr(at + begin.size(), text.find('`', at + 1) - at - begin.size()));
  }
  // Lines of a block of code, or of a unit, that begin with `begin`.
  void check_lines(const fs::path& file, const std::string& begin) {
    std::istringstream lines(content_of(file));
    bool is_code = file.extension() != ".scd";  // a manual page has its blocks of code between fences
    for (std::string line; std::getline(lines, line);) {
      if (line == "```") is_code = !is_code;
      if (is_code && line.starts_with(begin)) check(file, line.substr(begin.size()));
    }
  }
};

// The string literals of a source file, unescaped. Literals that are put together are one text, with "X" for what
// stands between two of them; others are parted by a zero.
class Literals {
 public:
  explicit Literals(std::string_view source) : rest_(source) {
    while (!rest_.empty()) {
      if (rest_.starts_with("//")) {
        rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
      } else if (rest_.starts_with("R\"")) {
        raw();
      } else if (rest_.front() == '"') {
        join();
        read('"', text);
      } else if (rest_.front() == '\'' &&
                 (code_.empty() || std::isalnum(static_cast<unsigned char>(code_.back())) == 0)) {
        std::string ignored;
        read('\'', ignored);
        code_ += "c";
      } else {
        code_ += rest_.front();
        rest_.remove_prefix(1);
      }
    }
  }
  std::string text;

 private:
  // A literal up to its closing quote.
  void read(char quote, std::string& into) {
    rest_.remove_prefix(1);
    while (!rest_.empty() && rest_.front() != quote) {
      const bool escaped = rest_.front() == '\\';
      if (escaped) rest_.remove_prefix(1);
      into += escaped && rest_.front() == 'n' ? '\n' : rest_.front();
      rest_.remove_prefix(1);
    }
    rest_.remove_prefix(1);
  }
  void raw() {
    const std::string end = ")" + std::string(rest_.substr(2, rest_.find('(') - 2)) + "\"";
    rest_.remove_prefix(rest_.find(end) + end.size());
    code_ += "r";
  }
  // What the code since the last literal makes of the two.
  void join() {
    std::erase_if(code_, [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; });
    const bool is_sum = code_.starts_with('+') && code_.ends_with('+');
    if (is_sum && code_.size() > 1) text += 'X';
    if (!is_sum && !code_.empty()) text += (code_.starts_with('+') ? "X" : "") + std::string(1, '\0');
    code_.clear();
  }

  std::string_view rest_;
  std::string code_ = "begin";
};

// Examples of --help are whole literals or lines of one, or end with a bracket; all else stands in backticks.
void check_literals(Told& told, const fs::path& file, const std::string& text) {
  for (auto at = text.find(program); at != std::string::npos; at = text.find(program, at + 1)) {
    const char before = at == 0 ? '\0' : text[at - 1];
    const bool is_example = file.filename() == "command_line.cpp";
    const std::string_view ends = before == '`' ? "`" : is_example ? std::string_view("\n)\0", 3) : "";
    BOOST_TEST(!ends.empty(), file.lexically_relative(root) << ": no backtick before " << text.substr(at, 60));
    const auto begin = at + program.size();
    const std::string command = text.substr(begin, text.find_first_of(ends, begin) - begin);
    if (!ends.empty() && !(is_example && command.empty())) told.check(file, command);  // --version has no verb
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(told_commands)

BOOST_AUTO_TEST_CASE(every_command_of_a_readme_can_be_run) {
  Told told;
  for (const auto& file : files_with({".md"})) {
    told.check_quoted(file, content_of(file));
    told.check_lines(file, "    " + program);
  }
  BOOST_TEST(told.commands > 20u);
}

BOOST_AUTO_TEST_CASE(every_command_of_a_manual_page_a_unit_and_the_udev_rule_can_be_run) {
  Told told;
  for (const auto& file : files_with({".scd"})) told.check_lines(file, program);
  BOOST_TEST(told.commands > 6u);
  for (const auto& file : files_with({".service", ".target", ".rules", ".conf", ".yaml"})) {
    told.check_quoted(file, content_of(file));
    told.check_lines(file, "ExecStart=/usr/bin/" + program);
  }
  BOOST_TEST(told.commands > 9u);
}

BOOST_AUTO_TEST_CASE(every_command_of_a_message_can_be_run) {
  Told told;
  for (const auto& file : files_with({".cpp", ".hpp"})) {
    const auto folder = *file.lexically_relative(root).begin();
    if (folder == "agent" || folder == "dmtarget") check_literals(told, file, Literals(content_of(file)).text);
  }
  BOOST_TEST(told.commands > 60u);
}

BOOST_AUTO_TEST_CASE(literals_are_read_as_the_compiler_puts_them_together) {
  BOOST_TEST(Literals(R"(f("a `b " + name + " c`" "d"); // "no"
 'c'; "e\n\"";)")
                 .text == std::string("\0a `b X c`d\0e\n\"", 15));
  BOOST_TEST(Literals("x ? \"a\" : \"b\" + y; \"c\"").text == std::string("\0a\0bX\0c", 7));
}

BOOST_AUTO_TEST_SUITE_END()
