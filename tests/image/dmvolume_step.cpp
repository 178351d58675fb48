// Does one verb of dmtarget/volume.hpp on a plain file, for the crash tests to end it at each of its steps. Not a test.
//   dmvolume_step create FILE TOKEN KEY | repair FILE TOKEN KEY | rewrap FILE TOKEN | take_back FILE BEFORE AFTER |
//   restore FILE BACKUP UUID | erase FILE UUID
// TOKEN, BEFORE, AFTER, KEY and BACKUP are files with the token's JSON, a test's volume key and a header backup.
// Exit status: 0 done, 1 an Error (its text on standard error), 2 wrong arguments.
#include <iostream>
#include <map>

#include "dmtarget/error.hpp"
#include "dmtarget/volume.hpp"
#include "tests/support/luks_forge.hpp"

namespace {

using namespace volcrypt;
using Arguments = std::vector<std::string>;

dm::Token token_in(const std::string& file) {
  Bytes text = test::content_of(file);
  return dm::parse_token(std::string(text.begin(), text.end()));
}

const std::map<std::string, void (*)(const Arguments&)> verbs = {
    {"create",
     [](const Arguments& to) {
       dm::create(to.at(0), token_in(to.at(1)), Secret::copy_of(test::content_of(to.at(2))), dm::ExistingData::refuse);
     }},
    {"rewrap", [](const Arguments& to) { dm::rewrap(to.at(0), token_in(to.at(1))); }},
    {"take_back",
     [](const Arguments& to) {
       dm::take_back(to.at(0), {token_in(to.at(1)), token_in(to.at(2))});
     }},
    {"restore",
     [](const Arguments& to) { dm::restore_header(to.at(0), test::content_of(to.at(1)), Uuid::parse(to.at(2))); }},
    {"erase", [](const Arguments& to) { dm::erase(to.at(0), Uuid::parse(to.at(1))); }},
    {"repair",
     [](const Arguments& to) {
       dm::repair_header(to.at(0), token_in(to.at(1)), Secret::copy_of(test::content_of(to.at(2))));
     }},
};

}  // namespace

int main(int count, char** words) {
  auto verb = count > 1 ? verbs.find(words[1]) : verbs.end();
  if (verb == verbs.end()) return 2;
  try {
    verb->second(Arguments(words + 2, words + count));
    return 0;
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
