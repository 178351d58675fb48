// What happens at the next boot, in words for the operator, from the agent's boot-state document. Pure.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace volcrypt::cli {

// One or more lines. Says what is certain and what it depends on; the TPM decides, not this text.
std::string forecast(const boost::json::value& boot_state);

// The state of Secure Boot as the API spells it, for people.
std::string secure_boot_words(const boost::json::value& boot_state);

}  // namespace volcrypt::cli
