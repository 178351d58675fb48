// What goes to standard output: JSON or YAML for programs, as the agent answered; text for people, made by the verbs.
// yaml-cpp is used here only. One thread.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace volcrypt::cli {

namespace json = boost::json;

enum class Format { human, json, yaml, names };  // names: one name a line, for completion

std::string to_pretty_json(const json::value& value);  // two blanks of indentation, newline at the end
// Strings that YAML 1.1 or 1.2 would read as another type are quoted.
std::string to_yaml(const json::value& value);

// Writes all of it. Throws Failure when it cannot (a full disk, a closed pipe).
void print(const std::string& text);

// Reading of answers for tables: "-" for null or a missing member, numbers as digits, booleans as yes and no.
std::string text_at(const json::value& value, std::initializer_list<const char*> path);
const json::value* find(const json::value& value, std::initializer_list<const char*> path) noexcept;

}  // namespace volcrypt::cli
