// Aligned columns for people. Colours only where a terminal reads them and NO_COLOR is not set.
#pragma once

#include <string>
#include <vector>

namespace dkv::cli {

enum class Tone { plain, good, warning, bad };

struct Cell {
  std::string text;
  Tone tone = Tone::plain;
};

class Table {
 public:
  explicit Table(std::vector<std::string> headings);
  void add(std::vector<Cell> row);
  /// On stdout, with two spaces between columns.
  void print() const;

 private:
  void print_row(const std::vector<Cell>& row, const std::vector<std::size_t>& widths, bool bold) const;

  std::vector<Cell> headings_;
  std::vector<std::vector<Cell>> rows_;
  bool coloured_;
};

}  // namespace dkv::cli
