// The completion script in a real bash: words of the tree, options, and names of volumes as the agent has them.
#define BOOST_TEST_DYN_LINK
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace volcrypt;

namespace {

using Words = std::set<std::string>;

struct Shell {
  tests::TemporaryDirectory directory;

  // Stands for the agent: completion asks volcryptctl for the names.
  Shell() {
    const std::string program = (directory.path() / "volcryptctl").native();
    std::ofstream(program) << "#!/bin/sh\n[ \"$*\" = 'get volumes -o names' ] && printf 'data1\\ndata2\\nlogs\\n'\n";
    ::chmod(program.c_str(), 0700);
  }

  // What TAB offers after `line`, whose last word is being typed.
  Words offered(const std::string& line) const {
    const auto ran =
        tests::run({"/bin/bash", "-c",
                    "PATH=" + directory.path().native() +
                        ":$PATH; source " VOLCRYPT_COMPLETION "; line=\"$1\"; read -ra COMP_WORDS <<<\"$line\"; "
                        "[[ $line == *' ' ]] && COMP_WORDS+=(''); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
                        "_volcryptctl; printf '%s\\n' \"${COMPREPLY[@]}\"",
                    "bash", line});
    BOOST_TEST(ran.status == 0);
    BOOST_TEST(ran.err == "");
    std::istringstream lines(ran.out);
    Words words;
    for (std::string word; std::getline(lines, word);)
      if (!word.empty()) words.insert(word);
    return words;
  }
};

bool holds(const Words& words, const std::string& word) { return words.count(word) == 1; }

}  // namespace

BOOST_FIXTURE_TEST_SUITE(completion, Shell)

BOOST_AUTO_TEST_CASE(verbs_and_nouns_are_completed) {
  BOOST_TEST((offered("volcryptctl de") == Words{"delete", "detach"}));
  BOOST_TEST((offered("volcryptctl f") == Words{"forget"}));
  BOOST_TEST((offered("volcryptctl get ") == Words{"clusterinfo", "nodes", "store", "volumes", "volume"}));
  BOOST_TEST((offered("volcryptctl forget ") == Words{"volume"}));
  BOOST_TEST((offered("volcryptctl -o json enable feature-flag ") == Words{"cluster-encryption"}));
}

BOOST_AUTO_TEST_CASE(names_of_volumes_are_completed_where_a_verb_takes_one) {
  const Words all{"data1", "data2", "logs"};
  for (const std::string verb :
       {"get volume", "delete volume", "forget volume", "attach", "detach", "header backup", "header restore"}) {
    BOOST_TEST((offered("volcryptctl " + verb + " ") == all), verb);
    BOOST_TEST((offered("volcryptctl " + verb + " da") == Words{"data1", "data2"}), verb);
  }
  BOOST_TEST(offered("volcryptctl create volume ").empty());
  BOOST_TEST(offered("volcryptctl detach data1 ").empty());
}

BOOST_AUTO_TEST_CASE(options_are_completed_before_and_after_the_name) {
  BOOST_TEST(holds(offered("volcryptctl rotate cluster-root-key --"), "--wait"));
  BOOST_TEST(holds(offered("volcryptctl delete volume --"), "--yes"));
  BOOST_TEST(holds(offered("volcryptctl delete volume data1 --"), "--yes"));
  BOOST_TEST(holds(offered("volcryptctl forget volume data1 --"), "--yes"));
  BOOST_TEST(holds(offered("volcryptctl attach data1 --"), "--device"));
  BOOST_TEST(holds(offered("volcryptctl attach data1 --device /dev/sdb --"), "--take-over"));
  BOOST_TEST(holds(offered("volcryptctl header restore data1 --"), "--input"));
  BOOST_TEST(holds(offered("volcryptctl create volume data1 --d"), "--device"));
  BOOST_TEST(!holds(offered("volcryptctl detach data1 --"), "--device"));
}

BOOST_AUTO_TEST_CASE(values_of_options_are_completed) {
  BOOST_TEST((offered("volcryptctl get volumes -o ") == Words{"table", "json", "yaml"}));
  BOOST_TEST((offered("volcryptctl enable cluster-encryption --protection ") == Words{"tpm", "software"}));
  std::ofstream(directory.path() / "vault-authority.json").put('{');
  const std::string file = (directory.path() / "vault").native();
  BOOST_TEST(
      (offered("volcryptctl node approve-boot-state --authority-file " + file) == Words{file + "-authority.json"}));
}

BOOST_AUTO_TEST_SUITE_END()
