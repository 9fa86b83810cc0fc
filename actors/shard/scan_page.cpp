#include "actors/shard/scan_page.hpp"

#include "messages/limits.hpp"
#include "messages/once.hpp"

namespace dkv {

namespace {

/// Keys looked at in one page, removed ones included: about a millisecond.
constexpr std::size_t kMostKeys = 5'000;
// Bytes read in one page, of values that are left out too: as much time again.
constexpr std::size_t kMostBytesRead = std::size_t{8} << 20;

class Page {
 public:
  Page(const rpc::Scan& scan, const ShardCopy& copy, TimePoint now, std::vector<std::string>* expired)
      : scan_(scan), copy_(copy), now_(now), expired_(expired) {
    page_.ended = true;
  }

  bool visit(const RecordView& record) {
    if (is_beyond(record.key)) return false;
    if (is_reserved(record.key)) return leave_out_reserved();
    bytes_read_ += record.value.size();
    if (expired_ != nullptr && copy_.is_over(record.expires_ms, now_)) {
      expired_->emplace_back(record.key);
      return pass(record.key);
    }
    const std::size_t bytes = record.key.size() + (scan_.keys_only ? 0 : record.value.size());
    const bool is_full = page_.items.size() == scan_.limit || bytes_ + bytes > kScanPageBytes;
    if (!page_.items.empty() && is_full) return stop_before(record.key);
    bytes_ += bytes;
    page_.items.push_back({std::string(record.key), record.version,
                           scan_.keys_only ? std::string() : std::string(record.value),
                           copy_.ttl_ms(record.expires_ms, now_)});
    return pass(record.key);
  }

  bool pass(std::string_view key) {
    if (is_beyond(key)) return false;
    if (is_reserved(key)) return leave_out_reserved();
    return (++keys_ < kMostKeys && bytes_read_ < kMostBytesRead) || stop_behind(key);
  }

  rpc::ScanReply finish() { return std::move(page_); }

 private:
  bool is_beyond(std::string_view key) const {
    return scan_.down ? key < scan_.to : !scan_.to.empty() && key >= scan_.to;
  }
  /// There may be any number of them: the next page begins on their other side.
  bool leave_out_reserved() {
    page_.next = scan_.down ? kReservedPrefix : kReservedEnd;
    page_.ended = is_beyond(page_.next) || (scan_.down && page_.next == scan_.to);
    if (page_.ended) page_.next.clear();
    return false;
  }
  bool stop_before(std::string_view key) {
    page_.ended = false;
    page_.next = key;
    if (scan_.down) page_.next.push_back('\0');  // so that this key is before it
    return false;
  }
  bool stop_behind(std::string_view key) {
    page_.ended = false;
    page_.next = key;
    if (!scan_.down) page_.next.push_back('\0');
    return false;
  }

  const rpc::Scan& scan_;
  const ShardCopy& copy_;
  TimePoint now_;
  std::vector<std::string>* expired_;
  rpc::ScanReply page_;
  std::size_t bytes_ = 0;
  std::size_t bytes_read_ = 0;
  std::size_t keys_ = 0;
};

}  // namespace

Result<rpc::ScanReply> scan_page(ShardCopy& copy, const rpc::Scan& scan, TimePoint now,
                                 std::vector<std::string>* expired) {
  Page page(scan, copy, now, expired);
  const auto direction = scan.down ? ShardCopy::Direction::down : ShardCopy::Direction::up;
  const auto scanned = copy.scan(
      scan.from, direction, [&](const RecordView& record) { return page.visit(record); },
      [&](std::string_view key) { return page.pass(key); });
  if (!scanned) return scanned.error();
  return page.finish();
}

}  // namespace dkv
