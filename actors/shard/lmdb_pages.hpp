// Reads LMDB's file page by page and checks everything in it that LMDB takes on trust.
//
// LMDB has no checksums and believes what its pages say: on a damaged one it crashes, or reads and writes
// wherever that points. So a check does not use LMDB: this reads the format of LMDB 0.9 (data version 1,
// 64-bit little-endian machines), follows no number that it has not checked, and finds a disk that does not
// read back as an error, not as a signal. Only for a file that nobody writes.
//
//   page     := number u64, pad u16, flags u16, lower u16, upper u16, the rest
//   meta     := page 0 and page 1: magic u32, version u32, address u64, map size u64, free pages: tree,
//               named trees: tree, last page u64, transaction u64. Transaction n writes page n mod 2.
//   tree     := pad u32, flags u16, depth u16, branch, leaf and overflow pages u64, entries u64, root u64
//   branch   := a page: offsets of nodes u16*, ending at lower; free space; nodes, from upper to the end
//   leaf     := likewise
//   node     := low u16, middle u16, high u16, key size u16, key, value; of an even length.
//               Branch: no value; low, middle and high are the number of the page below.
//               Leaf: low and middle are the value's size, high are flags; of a large one the value is the
//               number u64 of its overflow pages
//   overflow := as many pages as lower and upper together say; the value follows the first one's header
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/runtime/disk.hpp"
#include "actors/shard/survey.hpp"

namespace dkv {

class LmdbPages {
 public:
  /// What a page says of a tree.
  struct Tree {
    std::uint64_t described_at = 0;  // where it says so
    std::uint16_t flags = 0;
    std::uint16_t depth = 0;
    std::uint64_t branch_pages = 0;
    std::uint64_t leaf_pages = 0;
    std::uint64_t overflow_pages = 0;
    std::uint64_t entries = 0;
    std::uint64_t root = 0;
  };
  struct Value {
    std::string_view bytes;
    std::uint64_t offset = 0;  // in the file
    bool is_tree = false;
  };
  using Visit = std::function<void(std::string_view key, const Value& value)>;

  /// Adds what it finds to `problems`, under the name `name`. All must outlive this.
  LmdbPages(const File& file, std::string name, Problems& problems, const CheckProgress& progress);

  /// Reads the meta pages. False: the rest cannot be found.
  bool open();
  /// Calls `visit` with each entry of the tree of named trees, as far as that can be read.
  void walk_names(const Visit& visit) { walk(names_, "the list of databases", visit); }
  /// Calls `visit` with each entry of `tree`, which problems call `what`, as far as that can be read. Each
  /// tree once.
  void walk(const Tree& tree, const std::string& what, const Visit& visit);
  /// What a value that is_tree says; also adds what is wrong with it, and then says nothing.
  std::optional<Tree> tree_in(const Value& value);
  /// Last: that each free page is free.
  void walk_free();

 private:
  struct Meta {
    Tree free;
    Tree names;
    std::uint64_t last_page = 0;
    std::uint64_t transaction = 0;
  };
  struct Page {
    std::uint64_t number = 0;
    std::string bytes;
  };
  struct Node {
    std::string_view key;
    std::uint16_t flags = 0;
    std::uint64_t child = 0;   // a branch's
    std::uint64_t size = 0;    // of a leaf's value
    std::string_view inlined;  // what stands behind the key
    std::size_t length = 0;    // of it all
  };
  /// The keys that a page may hold: from `low` on, below `high`.
  struct Range {
    std::optional<std::string_view> low;
    std::optional<std::string_view> high;
  };
  struct Walk;

  static std::optional<Node> node_at(std::string_view page, std::size_t at, std::size_t upper, bool is_leaf);
  std::optional<Meta> read_meta(std::uint64_t page, std::uint64_t page_bytes);
  bool claim(std::uint64_t first, std::uint64_t count, std::uint64_t named_at);
  std::optional<std::string> read(std::uint64_t offset, std::uint64_t bytes);
  void walk_page(Walk& walk, std::uint64_t number, std::uint64_t named_at, std::uint16_t depth,
                 const Range& range);
  void walk_nodes(Walk& walk, const Page& page, std::uint16_t depth, const Range& range);
  void visit_value(Walk& walk, const Page& page, const Node& node);
  void check_counts(const Walk& walk);
  void take_free(std::string_view key, const Value& value);
  void add(std::uint64_t offset, const std::string& what);

  const File& file_;
  std::string name_;
  Problems& problems_;
  const CheckProgress& progress_;
  std::uint64_t page_bytes_ = 0;
  std::uint64_t last_page_ = 0;
  Tree free_;
  Tree names_;
  std::vector<bool> claimed_;          // of the pages in the file: what each is used for is known
  std::uint64_t free_beyond_end_ = 0;  // free pages that have never been written
};

}  // namespace dkv
