#include "actors/shard/lmdb_pages.hpp"

#include <algorithm>
#include <bit>

#include "messages/little_endian.hpp"

namespace dkv {

namespace {

constexpr std::uint32_t kMagic = 0xBEEFC0DE;
constexpr std::uint32_t kVersion = 1;
constexpr std::uint64_t kNoPage = UINT64_MAX;
constexpr std::uint64_t kMinPageBytes = 512;
constexpr std::uint64_t kMaxPageBytes = 32768;
constexpr std::uint16_t kMaxDepth = 32;  // LMDB's

constexpr std::uint16_t kBranchPage = 1;
constexpr std::uint16_t kLeafPage = 2;
constexpr std::uint16_t kOverflowPage = 4;
constexpr std::uint16_t kMetaPage = 8;
constexpr std::uint16_t kValueInOverflowPages = 1;
constexpr std::uint16_t kValueIsTree = 2;
constexpr std::uint16_t kKeysAreNumbers = 8;

// In a page.
constexpr std::size_t kFlagsAt = 10;
constexpr std::size_t kLowerAt = 12;
constexpr std::size_t kUpperAt = 14;
constexpr std::size_t kPageHeaderBytes = 16;
constexpr std::size_t kNodeHeaderBytes = 8;
constexpr std::size_t kTreeBytes = 48;
// In a meta page.
constexpr std::size_t kMagicAt = 16;
constexpr std::size_t kVersionAt = 20;
constexpr std::size_t kPageBytesAt = 40;  // the first word of the tree of free pages
constexpr std::size_t kFreeAt = 40;
constexpr std::size_t kNamesAt = 88;
constexpr std::size_t kLastPageAt = 136;
constexpr std::size_t kTransactionAt = 144;
constexpr std::size_t kMetaEnd = 152;

std::uint16_t u16(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[at]) |
                                    static_cast<unsigned char>(bytes[at + 1]) << 8);
}
std::uint64_t u64(std::string_view bytes, std::size_t at) {
  return get_little_endian<std::uint64_t>(bytes, at);
}

LmdbPages::Tree decode_tree(std::string_view bytes, std::uint64_t offset) {
  LmdbPages::Tree tree;
  tree.described_at = offset;
  tree.flags = u16(bytes, 4);
  tree.depth = u16(bytes, 6);
  tree.branch_pages = u64(bytes, 8);
  tree.leaf_pages = u64(bytes, 16);
  tree.overflow_pages = u64(bytes, 24);
  tree.entries = u64(bytes, 32);
  tree.root = u64(bytes, 40);
  return tree;
}

std::size_t even(std::size_t bytes) { return bytes + (bytes & 1); }

/// Whether `a` stands before `b`.
bool before(std::string_view a, std::string_view b, bool numbers) {
  return numbers && a.size() == 8 && b.size() == 8 ? u64(a, 0) < u64(b, 0) : a < b;
}

std::string page_text(std::uint64_t number) { return "page " + std::to_string(number); }

}  // namespace

struct LmdbPages::Walk {
  const Tree& tree;
  const std::string& what;
  const Visit& visit;
  Tree found{};  // counted on the way
};

LmdbPages::LmdbPages(const File& file, std::string name, Problems& problems, const CheckProgress& progress)
    : file_(file), name_(std::move(name)), problems_(problems), progress_(progress) {}

void LmdbPages::add(std::uint64_t offset, const std::string& what) { problems_.add({name_, offset, what}); }

std::optional<std::string> LmdbPages::read(std::uint64_t offset, std::uint64_t bytes) {
  auto read = file_.read(offset, static_cast<std::size_t>(bytes));
  if (!read) {
    add(offset, read.error().message);
    return std::nullopt;
  }
  if (read->size() < bytes) {
    add(offset,
        "the file ends here, at " + std::to_string(offset + read->size()) + " bytes: it was cut short");
    return std::nullopt;
  }
  progress_(bytes);
  return std::move(*read);
}

std::optional<LmdbPages::Meta> LmdbPages::read_meta(std::uint64_t page, std::uint64_t page_bytes) {
  const std::uint64_t at = page * page_bytes;
  const auto bytes = read(at, kMetaEnd);
  if (!bytes) return std::nullopt;
  const auto refuse = [&](const std::string& what) {
    add(at, "the meta page is damaged: " + what);
    return std::nullopt;
  };
  if (get_little_endian<std::uint32_t>(*bytes, kMagicAt) != kMagic) return refuse("this is no LMDB file");
  if (const auto version = get_little_endian<std::uint32_t>(*bytes, kVersionAt); version != kVersion) {
    return refuse("its format has version " + std::to_string(version));
  }
  if (u64(*bytes, 0) != page || u16(*bytes, kFlagsAt) != kMetaPage) return refuse("it has a wrong header");
  const std::uint64_t size = get_little_endian<std::uint32_t>(*bytes, kPageBytesAt);
  if (!std::has_single_bit(size) || size < kMinPageBytes || size > kMaxPageBytes ||
      (page_bytes != 0 && size != page_bytes)) {
    return refuse("pages of " + std::to_string(size) + " bytes");
  }
  page_bytes_ = size;
  Meta meta;
  meta.free = decode_tree(std::string_view(*bytes).substr(kFreeAt), at + kFreeAt);
  meta.names = decode_tree(std::string_view(*bytes).substr(kNamesAt), at + kNamesAt);
  meta.last_page = u64(*bytes, kLastPageAt);
  meta.transaction = u64(*bytes, kTransactionAt);
  if (meta.free.flags != kKeysAreNumbers || meta.names.flags != 0) return refuse("it has wrong flags");
  return meta;
}

bool LmdbPages::open() {
  const auto first = read_meta(0, 0);
  if (!first) return false;
  const auto second = read_meta(1, page_bytes_);
  if (!second) return false;
  // The first transaction writes page 1; until then both are of none.
  const auto [older, newer] = std::minmax(first->transaction, second->transaction);
  const bool follow = newer - older == 1 && first->transaction % 2 == 0;
  if (!follow && newer != 0) {
    add(kTransactionAt, "the meta pages are damaged: transactions " + std::to_string(first->transaction) +
                            " and " + std::to_string(second->transaction) + " cannot be the last two");
    return false;
  }
  const Meta& meta = first->transaction < second->transaction ? *second : *first;
  free_ = meta.free;
  names_ = meta.names;
  last_page_ = meta.last_page;
  // So that no sum of page numbers overflows.
  if (last_page_ > UINT64_MAX / page_bytes_ / 2) {
    add(kLastPageAt, "the meta page is damaged: it has " + std::to_string(last_page_) + " pages");
    return false;
  }
  claimed_.assign(file_.size() / page_bytes_, false);
  if (claimed_.size() < 2) {
    add(file_.size(), "the file ends in its second page: it was cut short");
    return false;
  }
  claimed_[0] = claimed_[1] = true;
  return true;
}

/// Whether the pages may be read: each belongs to one place only. `named_at`: who says that they are here.
bool LmdbPages::claim(std::uint64_t first, std::uint64_t count, std::uint64_t named_at) {
  if (first > last_page_ || count > last_page_ - first + 1) {
    add(named_at, "it leads to " + page_text(first) + ", behind the last one, " + std::to_string(last_page_));
    return false;
  }
  if (first + count > claimed_.size()) {
    add(first * page_bytes_, page_text(first) + " is missing: the file was cut short at " +
                                 std::to_string(file_.size()) + " bytes");
    return false;
  }
  const auto begin = claimed_.begin() + static_cast<std::ptrdiff_t>(first);
  const auto end = begin + static_cast<std::ptrdiff_t>(count);
  if (std::find(begin, end, true) != end) {
    add(named_at, "it leads to " + page_text(first) + ", which is in use elsewhere");
    return false;
  }
  std::fill(begin, end, true);
  return true;
}

void LmdbPages::walk(const Tree& tree, const std::string& what, const Visit& visit) {
  const std::uint64_t problems_before = problems_.count;
  Walk walk{tree, what, visit};
  if (tree.root != kNoPage) {
    if (tree.depth == 0 || tree.depth > kMaxDepth) {
      return add(tree.described_at,
                 "the root of " + what + " is damaged: a depth of " + std::to_string(tree.depth));
    }
    walk_page(walk, tree.root, tree.described_at, 1, {});
  }
  if (problems_.count == problems_before) check_counts(walk);
}

void LmdbPages::check_counts(const Walk& walk) {
  const Tree& tree = walk.tree;
  const Tree& found = walk.found;
  if (tree.entries == found.entries && tree.branch_pages == found.branch_pages &&
      tree.leaf_pages == found.leaf_pages && tree.overflow_pages == found.overflow_pages &&
      (tree.root != kNoPage || tree.depth == 0)) {
    return;
  }
  const auto text = [](const Tree& of) {
    return std::to_string(of.entries) + " entries in " + std::to_string(of.branch_pages) + " branch, " +
           std::to_string(of.leaf_pages) + " leaf and " + std::to_string(of.overflow_pages) +
           " overflow pages";
  };
  add(tree.described_at,
      "the root of " + walk.what + " does not fit: it tells of " + text(tree) + ", there are " + text(found));
}

void LmdbPages::walk_page(Walk& walk, std::uint64_t number, std::uint64_t named_at, std::uint16_t depth,
                          const Range& range) {
  if (!claim(number, 1, named_at)) return;
  auto bytes = read(number * page_bytes_, page_bytes_);
  if (!bytes) return;
  const Page page{number, std::move(*bytes)};
  const auto refuse = [&](const std::string& what) {
    add(number * page_bytes_, page_text(number) + " of " + walk.what + " is damaged: " + what);
  };
  const bool is_leaf = depth == walk.tree.depth;
  if (page.bytes.find_first_not_of('\0') == std::string::npos) return refuse("it is all zeros");
  if (const std::uint64_t says = u64(page.bytes, 0); says != number) {
    return refuse("it says that it is " + page_text(says));
  }
  if (u16(page.bytes, kFlagsAt) != (is_leaf ? kLeafPage : kBranchPage))
    return refuse("it is of another kind");
  const std::size_t lower = u16(page.bytes, kLowerAt);
  const std::size_t upper = u16(page.bytes, kUpperAt);
  const std::size_t least = kPageHeaderBytes + (is_leaf ? 2 : 4);
  if (lower < least || lower % 2 != 0 || upper < lower || upper > page_bytes_) {
    return refuse("it has wrong bounds");
  }
  ++(is_leaf ? walk.found.leaf_pages : walk.found.branch_pages);
  walk_nodes(walk, page, depth, range);
}

/// The node at `at` of a page whose nodes begin at `upper`; nothing when it is none.
std::optional<LmdbPages::Node> LmdbPages::node_at(std::string_view page, std::size_t at, std::size_t upper,
                                                  bool is_leaf) {
  if (at < upper || at % 2 != 0 || at + kNodeHeaderBytes > page.size()) return std::nullopt;
  Node node;
  const std::uint64_t low = u16(page, at) | std::uint64_t{u16(page, at + 2)} << 16;
  node.flags = u16(page, at + 4);
  const std::size_t key_bytes = u16(page, at + 6);
  node.length = kNodeHeaderBytes + key_bytes;
  if (is_leaf) {
    node.size = low;
    if (node.flags != 0 && node.flags != kValueInOverflowPages && node.flags != kValueIsTree) {
      return std::nullopt;
    }
    node.length += node.flags == kValueInOverflowPages ? sizeof(std::uint64_t) : low;
  } else {
    node.child = low | std::uint64_t{node.flags} << 32;
  }
  if (node.length > page.size() - at) return std::nullopt;
  node.key = page.substr(at + kNodeHeaderBytes, key_bytes);
  node.inlined = page.substr(at + kNodeHeaderBytes + key_bytes, node.length - kNodeHeaderBytes - key_bytes);
  return node;
}

void LmdbPages::walk_nodes(Walk& walk, const Page& page, std::uint16_t depth, const Range& range) {
  const std::string_view bytes = page.bytes;
  const bool is_leaf = depth == walk.tree.depth;
  const bool numbers = walk.tree.flags == kKeysAreNumbers;
  const auto refuse = [&](std::size_t at, const char* what) {
    add(page.number * page_bytes_ + at, page_text(page.number) + " of " + walk.what + " is damaged: " + what);
  };
  const std::size_t upper = u16(bytes, kUpperAt);
  std::vector<Node> nodes;
  std::size_t length = 0;
  for (std::size_t at = kPageHeaderBytes; at < u16(bytes, kLowerAt); at += 2) {
    const auto node = node_at(bytes, u16(bytes, at), upper, is_leaf);
    if (!node) return refuse(at, "an entry is not readable");
    length += even(node->length);
    // The first key of a branch stands for all that are lower, whatever it is.
    if (is_leaf || !nodes.empty()) {
      const auto least = nodes.size() > (is_leaf ? 0U : 1U) ? nodes.back().key : range.low;
      const bool follows = !least || (nodes.empty() ? !before(node->key, *least, numbers)
                                                    : before(*least, node->key, numbers));
      if (!follows || (range.high && !before(node->key, *range.high, numbers))) {
        return refuse(u16(bytes, at), "a key is out of order");
      }
    }
    nodes.push_back(*node);
  }
  if (length != page_bytes_ - upper) return refuse(kUpperAt, "its entries do not fill their part of it");
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (is_leaf) {
      visit_value(walk, page, nodes[i]);
      continue;
    }
    const Range below{i == 0 ? range.low : nodes[i].key,
                      i + 1 < nodes.size() ? nodes[i + 1].key : range.high};
    walk_page(walk, nodes[i].child, page.number * page_bytes_, static_cast<std::uint16_t>(depth + 1), below);
  }
}

void LmdbPages::visit_value(Walk& walk, const Page& page, const Node& node) {
  const auto in_page = static_cast<std::uint64_t>(node.inlined.data() - page.bytes.data());
  Value value{node.inlined, page.number * page_bytes_ + in_page, node.flags == kValueIsTree};
  ++walk.found.entries;
  if (value.is_tree && &walk.tree != &names_) {
    return add(value.offset,
               page_text(page.number) + " of " + walk.what + " is damaged: an entry is of a wrong kind");
  }
  if (node.flags != kValueInOverflowPages) return walk.visit(node.key, value);

  const std::uint64_t first = u64(node.inlined, 0);
  const std::uint64_t count = (kPageHeaderBytes + node.size + page_bytes_ - 1) / page_bytes_;
  if (!claim(first, count, value.offset)) return;
  const auto bytes = read(first * page_bytes_, kPageHeaderBytes + node.size);
  if (!bytes) return;
  const std::uint64_t reserved = get_little_endian<std::uint32_t>(*bytes, kLowerAt);
  if (u64(*bytes, 0) != first || u16(*bytes, kFlagsAt) != kOverflowPage || reserved < count) {
    return add(first * page_bytes_, page_text(first) + " of " + walk.what +
                                        " is damaged: it is not the first page of a large value");
  }
  // A value that was written over a larger one may have pages to spare.
  if (reserved > count && !claim(first + count, reserved - count, first * page_bytes_ + kLowerAt)) return;
  walk.found.overflow_pages += reserved;
  value.bytes = std::string_view(*bytes).substr(kPageHeaderBytes);
  value.offset = first * page_bytes_ + kPageHeaderBytes;
  walk.visit(node.key, value);
}

std::optional<LmdbPages::Tree> LmdbPages::tree_in(const Value& value) {
  if (value.is_tree && value.bytes.size() == kTreeBytes) {
    const Tree tree = decode_tree(value.bytes, value.offset);
    if (tree.flags == 0) return tree;
  }
  add(value.offset, "an entry of the list of databases is damaged");
  return std::nullopt;
}

void LmdbPages::walk_free() {
  const std::uint64_t problems_before = problems_.count;
  walk(free_, "the list of free pages",
       [this](std::string_view key, const Value& value) { take_free(key, value); });
  if (problems_.count != problems_before || last_page_ < claimed_.size()) return;
  // LMDB makes its file longer only by what it writes there.
  if (free_beyond_end_ < last_page_ + 1 - claimed_.size()) {
    add(kLastPageAt, "pages up to number " + std::to_string(last_page_) +
                         " should be there, but the file ends at " + std::to_string(file_.size()) +
                         " bytes: it was cut short, or this number is damaged");
  }
}

/// Pages that a transaction freed: their count and numbers, falling.
void LmdbPages::take_free(std::string_view key, const Value& value) {
  const std::uint64_t room = value.bytes.size() / sizeof(std::uint64_t);
  const std::uint64_t count = room == 0 ? UINT64_MAX : u64(value.bytes, 0);
  if (key.size() != sizeof(std::uint64_t) || count >= room) {
    return add(value.offset, "an entry of the list of free pages is damaged");
  }
  std::uint64_t last = UINT64_MAX;
  for (std::uint64_t i = 1; i <= count; ++i) {
    const std::uint64_t at = i * sizeof(std::uint64_t);
    const std::uint64_t page = u64(value.bytes, at);
    if (page >= std::exchange(last, page) || page > last_page_) {
      return add(value.offset + at,
                 "the list of free pages is damaged: " + page_text(page) + " cannot stand here");
    }
    if (page >= claimed_.size()) {
      ++free_beyond_end_;
    } else if (claimed_[page]) {
      return add(value.offset + at, "the list of free pages holds " + page_text(page) + ", which is in use");
    } else {
      claimed_[page] = true;
    }
  }
}

}  // namespace dkv
