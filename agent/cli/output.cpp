// JSON, YAML and standard output.
#include "agent/cli/output.hpp"

#include <unistd.h>
#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstring>

#include "agent/cli/exit_status.hpp"

namespace volcrypt::cli {

namespace {

void pretty(std::string& out, const json::value& value, const std::string& indent) {
  const std::string deeper = indent + "  ";
  if (value.is_object() && !value.get_object().empty()) {
    const char* separator = "{\n";
    for (const auto& member : value.get_object()) {
      out += separator + deeper + json::serialize(json::value(member.key())) + ": ";
      pretty(out, member.value(), deeper);
      separator = ",\n";
    }
    out += "\n" + indent + "}";
  } else if (value.is_array() && !value.get_array().empty()) {
    const char* separator = "[\n";
    for (const auto& element : value.get_array()) {
      out += separator + deeper;
      pretty(out, element, deeper);
      separator = ",\n";
    }
    out += "\n" + indent + "]";
  } else {
    out += json::serialize(value);
  }
}

// Plain only when it begins with a letter or slash, has harmless characters, and is no YAML word (1.1 has many).
bool is_plain(std::string_view text) {
  static constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  static constexpr std::string_view more = "0123456789_./-";
  if (text.empty() || (letters.find(text.front()) == std::string_view::npos && text.front() != '/')) return false;
  for (const char c : text) {
    if (letters.find(c) == std::string_view::npos && more.find(c) == std::string_view::npos) return false;
  }
  std::string lower(text);
  for (auto& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const auto* word : {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}) {
    if (lower == word) return false;
  }
  return true;
}

void emit(YAML::Emitter& yaml, const json::value& value) {
  if (value.is_object()) {
    if (value.get_object().empty()) yaml << YAML::Flow;
    yaml << YAML::BeginMap;
    for (const auto& member : value.get_object()) {
      yaml << YAML::Key << std::string(member.key().data(), member.key().size()) << YAML::Value;
      emit(yaml, member.value());
    }
    yaml << YAML::EndMap;
  } else if (value.is_array()) {
    if (value.get_array().empty()) yaml << YAML::Flow;
    yaml << YAML::BeginSeq;
    for (const auto& element : value.get_array()) emit(yaml, element);
    yaml << YAML::EndSeq;
  } else if (const auto* text = value.if_string()) {
    if (!is_plain({text->data(), text->size()})) yaml << YAML::DoubleQuoted;
    yaml << std::string(text->data(), text->size());
  } else if (value.is_null()) {
    yaml << YAML::Null;
  } else if (value.is_bool()) {
    yaml << value.get_bool();
  } else {
    yaml << json::serialize(value);  // a number as it is spelled in JSON
  }
}

}  // namespace

std::string to_pretty_json(const json::value& value) {
  std::string out;
  pretty(out, value, "");
  return out + "\n";
}

std::string to_yaml(const json::value& value) {
  YAML::Emitter yaml;
  emit(yaml, value);
  return std::string(yaml.c_str(), yaml.size()) + "\n";
}

void print(const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const auto written = ::write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      throw Failure(ExitStatus::failed, std::string("cannot write to standard output: ") + std::strerror(errno) + ".");
    }
    done += static_cast<std::size_t>(written);
  }
}

const json::value* find(const json::value& value, std::initializer_list<const char*> path) noexcept {
  const json::value* at = &value;
  for (const auto* name : path) {
    const auto* object = at->if_object();
    at = object ? object->if_contains(name) : nullptr;
    if (!at) return nullptr;
  }
  return at;
}

std::string text_at(const json::value& value, std::initializer_list<const char*> path) {
  const auto* found = find(value, path);
  if (!found || found->is_null()) return "-";
  if (const auto* text = found->if_string()) return {text->data(), text->size()};
  if (const auto* yes = found->if_bool()) return *yes ? "yes" : "no";
  if (const auto* array = found->if_array()) {
    std::string all;
    for (const auto& element : *array) all += (all.empty() ? "" : ", ") + text_at(element, {});
    return all.empty() ? "-" : all;
  }
  return json::serialize(*found);
}

}  // namespace volcrypt::cli
