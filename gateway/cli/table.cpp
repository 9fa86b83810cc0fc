#include "gateway/cli/table.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

namespace dkv::cli {

namespace {

bool wants_colour() {
  const char* refused = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) != 0 && (refused == nullptr || *refused == '\0');
}

const char* escape_of(Tone tone) {
  switch (tone) {
    case Tone::plain:
      return "";
    case Tone::good:
      return "\033[32m";
    case Tone::warning:
      return "\033[33m";
    case Tone::bad:
      return "\033[31m";
  }
  return "";
}

}  // namespace

Table::Table(std::vector<std::string> headings) : coloured_(wants_colour()) {
  for (std::string& heading : headings) headings_.push_back({std::move(heading), Tone::plain});
}

void Table::add(std::vector<Cell> row) {
  row.resize(headings_.size());
  rows_.push_back(std::move(row));
}

void Table::print() const {
  std::vector<std::size_t> widths;
  for (const Cell& heading : headings_) widths.push_back(heading.text.size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].text.size());
  }
  print_row(headings_, widths, true);
  for (const auto& row : rows_) print_row(row, widths, false);
}

void Table::print_row(const std::vector<Cell>& row, const std::vector<std::size_t>& widths, bool bold) const {
  std::string line;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const std::string start = !coloured_ ? "" : bold ? "\033[1m" : escape_of(row[i].tone);
    line += start + row[i].text + (start.empty() ? "" : "\033[0m");
    // Nothing trails behind the last column.
    if (i + 1 < row.size()) line += std::string(widths[i] - row[i].text.size() + 2, ' ');
  }
  std::printf("%s\n", line.c_str());
}

}  // namespace dkv::cli
