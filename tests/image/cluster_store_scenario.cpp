// The program that image_cluster_store_crash runs into its failpoints: opens the store in directory ARG1, commits six
// numbers, and after each appends a byte to file ARG2, which lies elsewhere and is not counted. Exit code: 0 all done,
// 1 an error that was told as one, 2 anything else.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "agent/cluster/sqlite_database.hpp"
#include "dmtarget/error.hpp"

using namespace volcrypt;
using namespace volcrypt::cluster;

namespace {

Transaction both(std::uint64_t number) {
  Transaction transaction;
  transaction.then.emplace_back(Put{"a", std::to_string(number)});
  transaction.then.emplace_back(Put{"b", std::to_string(number)});
  transaction.then.emplace_back(Put{"large", std::string(9'000, static_cast<char>('a' + number % 26))});
  return transaction;
}

}  // namespace

int main(int, char** arguments) {
  try {
    SqliteDatabase database(std::string(arguments[1]) + "/store.db", &std::chrono::system_clock::now);
    const auto entry = database.get("a");
    const int told = open(arguments[2], O_WRONLY | O_CREAT | O_APPEND, 0600);
    auto number = entry ? std::stoull(entry->value) : 0;
    for (int i = 0; i < 6; ++i) {
      if (!database.commit(both(++number))) return 2;
      if (write(told, "x", 1) != 1) return 2;
    }
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "not an Error: %s\n", error.what());
    return 2;
  }
}
