// What other users of a TPM do to it, for tests: wrong guesses until it locks out, an owner password, objects left in
// its slots. Each opens a connection of its own.
#pragma once

#include <string>

namespace volcrypt::test {

void lock_out(const std::string& tcti);  // dictionary-attack lockout by wrong passwords
void set_owner_password(const std::string& tcti);
void remove_owner_password(const std::string& tcti);  // the one that was set
void set_lockout_password(const std::string& tcti);   // what a careful administrator does

}  // namespace volcrypt::test
