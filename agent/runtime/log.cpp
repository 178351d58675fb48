// log: the only user of sd-journal. Standard error is used when it is not the journal's own stream: a terminal, a test.
// Source: sd_journal_sendv(3), systemd.exec(5) on JOURNAL_STREAM.
#include "agent/runtime/log.hpp"

#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <vector>

namespace volcrypt::runtime {

namespace {

bool standard_error_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");  // "DEVICE:INODE" of the stream that systemd connected
  struct stat now {};
  if (stream == nullptr || fstat(STDERR_FILENO, &now) != 0) return false;
  return std::to_string(now.st_dev) + ":" + std::to_string(now.st_ino) == stream;
}

std::string escaped(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7f) {  // a value must not forge a second line
      out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    } else {
      out += c;
    }
  }
  return out;
}

std::string shown(std::string_view value) {
  const auto plain = [](unsigned char c) { return c > 0x20 && c != 0x7f && c != '"' && c != '=' && c != '\\'; };
  if (!value.empty() && std::all_of(value.begin(), value.end(), plain)) return std::string(value);
  return "\"" + escaped(value) + "\"";
}

std::string journal_field(const Field& field) {
  std::string name = "VOLCRYPT_";
  for (const char c : field.first) {
    const bool letter = c >= 'a' && c <= 'z';
    const bool other = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += letter ? static_cast<char>(c - 'a' + 'A') : (other ? c : '_');
  }
  return name + "=" + field.second;
}

bool to_journal(Severity severity, const std::string& message, std::initializer_list<Field> fields) {
  std::vector<std::string> lines{"MESSAGE=" + message, "PRIORITY=" + std::to_string(static_cast<int>(severity)),
                                 "SYSLOG_IDENTIFIER=" + std::string(program_invocation_short_name)};
  for (const auto& field : fields) lines.push_back(journal_field(field));
  std::vector<iovec> vectors;
  for (auto& line : lines) vectors.push_back({line.data(), line.size()});
  return sd_journal_sendv(vectors.data(), static_cast<int>(vectors.size())) >= 0;
}

}  // namespace

std::string log_line(std::string_view text, std::initializer_list<Field> fields) {
  std::string message = escaped(text);
  for (const auto& [name, value] : fields) message += " " + std::string(name) + "=" + shown(value);
  return message;
}

void log_to_journal(Severity severity, std::string_view text, std::initializer_list<Field> fields) {
  to_journal(severity, log_line(text, fields), fields);
}

void log(Severity severity, std::string_view text, std::initializer_list<Field> fields) {
  static const bool journal = standard_error_is_journal();
  auto message = log_line(text, fields);
  if (journal && to_journal(severity, message, fields)) return;
  static constexpr std::string_view names[] = {"", "", "", "error", "warning", "notice", "info", "debug"};
  const auto line = std::string(names[static_cast<int>(severity)]) + ": " + message + "\n";
  // One write, so that lines of several threads do not mix. Nobody is left to tell when even this fails.
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace volcrypt::runtime
