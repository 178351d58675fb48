// Table: aligned text for people. Columns are as wide as their widest cell, two blanks apart; no line ends in blanks;
// control characters become '?'. Pure. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace volcrypt::cli {

enum class Align { left, right };

struct Column {
  std::string title;
  Align align = Align::left;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells);  // as many as there are columns; an empty cell reads "-"
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "Label:      value" lines with the values under each other. A value may have several lines.
class Listing {
 public:
  void add(std::string label, std::string value);
  std::string text() const;

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

std::string printable(const std::string& text);
std::string human_size(std::uint64_t bytes);  // "512 B", "8.0 GiB": binary units, one digit after the point
// "[#####.....]  50%"; `width` marks between the brackets; 100% when there is nothing to do.
std::string progress_bar(std::uint64_t done, std::uint64_t total, std::size_t width);

}  // namespace volcrypt::cli
