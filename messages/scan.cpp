#include "messages/scan.hpp"

#include <algorithm>
#include <iterator>

namespace dkv {

namespace {

/// The first key behind all that begin with the prefix; empty: there is none.
std::string behind(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

void lower_high(KeyRange& range, const std::string& high) {
  if (!high.empty() && (range.high.empty() || high < range.high)) range.high = high;
}

void read_all(KeyRange& range) { range.high = range.low = std::string(1, '\0'); }

}  // namespace

KeyRange range_of(const ScanOptions& options) {
  KeyRange range{std::max(options.prefix, options.start), {}};
  lower_high(range, behind(options.prefix));
  lower_high(range, options.end);
  if (options.reverse) {
    lower_high(range, options.cursor);
  } else {
    range.low = std::max(range.low, options.cursor);
  }
  return range;
}

void merge_pages(std::vector<rpc::ScanReply> pages, bool down, std::size_t most, KeyRange& range,
                 std::vector<rpc::ScanItem>& items) {
  // What lies beyond the end of one page may be on the next page of that shard.
  const std::string* bound = nullptr;
  for (const rpc::ScanReply& page : pages) {
    if (page.ended) continue;
    const bool is_nearer = bound == nullptr || (down ? page.next > *bound : page.next < *bound);
    if (is_nearer) bound = &page.next;
  }
  std::vector<rpc::ScanItem> known;
  for (rpc::ScanReply& page : pages) {
    for (rpc::ScanItem& item : page.items) {
      if (bound == nullptr || (down ? item.key >= *bound : item.key < *bound))
        known.push_back(std::move(item));
    }
  }
  std::sort(known.begin(), known.end(), [down](const rpc::ScanItem& a, const rpc::ScanItem& b) {
    return down ? a.key > b.key : a.key < b.key;
  });
  if (known.size() > most) {
    // Downwards the range ends before its high end, which is to be behind what has been left.
    if (down) {
      range.high = known[most].key + '\0';
    } else {
      range.low = known[most].key;
    }
    known.resize(most);
  } else if (bound != nullptr) {
    (down ? range.high : range.low) = *bound;
  } else {
    read_all(range);
  }
  items.insert(items.end(), std::move_iterator(known.begin()), std::move_iterator(known.end()));
}

}  // namespace dkv
