// One line per event to the journal (sd_journal_sendv) with structured fields, or to standard error when there is no
// journal. Only the edge of the program logs: agent, control, peer, cli; library code throws. Any thread.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace volcrypt::runtime {

enum class Severity { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };  // syslog(3) priorities

using Field = std::pair<std::string_view, std::string>;  // "volume", "data1" -> journal field VOLCRYPT_VOLUME=data1

// Message reads "TEXT volume=data1 device=/dev/vdb"; values with blanks are quoted. A warning's text ends with
// "ignoring".
void log(Severity severity, std::string_view text, std::initializer_list<Field> fields = {});

// To the journal alone, whatever standard error is: for a program whose standard error is the operator's. A machine
// without a journal gets nothing: there is nobody to read it.
void log_to_journal(Severity severity, std::string_view text, std::initializer_list<Field> fields = {});

// The message alone, as log() writes it: control characters are escaped, so that one event is always one line.
std::string log_line(std::string_view text, std::initializer_list<Field> fields = {});

}  // namespace volcrypt::runtime
