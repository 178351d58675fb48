// Rendering of tables, listings and bars.
#include "agent/cli/table.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <stdexcept>

namespace volcrypt::cli {

namespace {

void append_cell(std::string& line, const std::string& cell, std::size_t width, Align align) {
  const std::string padding(width - std::min(width, cell.size()), ' ');
  line += align == Align::left ? cell + padding : padding + cell;
}

void end_line(std::string& line) {
  line.erase(line.find_last_not_of(' ') + 1);
  line += '\n';
}

}  // namespace

void Table::add(std::vector<std::string> cells) {
  if (cells.size() != columns_.size()) throw std::logic_error("a table's row has another number of cells");
  for (auto& cell : cells) cell = cell.empty() ? "-" : printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = columns_[i].title.size();
    for (const auto& row : rows_) width = std::max(width, row[i].size());
    widths.push_back(width);
  }
  std::string text;
  for (std::size_t r = 0; r <= rows_.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) line += "  ";
      append_cell(line, r == 0 ? columns_[i].title : rows_[r - 1][i], widths[i], columns_[i].align);
    }
    end_line(line);
    text += line;
  }
  return text;
}

void Listing::add(std::string label, std::string value) { lines_.emplace_back(std::move(label), std::move(value)); }

std::string Listing::text() const {
  std::size_t width = 0;
  for (const auto& [label, value] : lines_) width = std::max(width, label.size() + 1);
  std::string text;
  for (const auto& [label, value] : lines_) {
    std::string head = label + ":";
    for (std::size_t begin = 0; begin <= value.size();) {
      const auto end = std::min(value.find('\n', begin), value.size());
      std::string line;
      append_cell(line, head, width, Align::left);
      line += "  " + printable(value.substr(begin, end - begin));
      end_line(line);
      text += line;
      head.clear();
      begin = end + 1;
    }
  }
  return text;
}

std::string printable(const std::string& text) {
  std::string out = text;
  for (auto& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return out;
}

std::string human_size(std::uint64_t bytes) {
  static constexpr std::array<const char*, 7> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  // 1023.95 would print as 1024.0 of the smaller unit.
  while (value >= 1023.95 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  const int size = std::snprintf(text.data(), text.size(), "%.1f %s", value, units[unit]);
  return {text.data(), static_cast<std::size_t>(size)};
}

std::string progress_bar(std::uint64_t done, std::uint64_t total, std::size_t width) {
  const double part = total == 0 ? 1.0 : static_cast<double>(std::min(done, total)) / static_cast<double>(total);
  const auto marks = static_cast<std::size_t>(part * static_cast<double>(width));
  std::array<char, 16> percent{};
  std::snprintf(percent.data(), percent.size(), "%3d%%", static_cast<int>(part * 100));
  return "[" + std::string(marks, '#') + std::string(width - marks, '.') + "] " + percent.data();
}

}  // namespace volcrypt::cli
