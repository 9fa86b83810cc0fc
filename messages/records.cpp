#include "messages/records.hpp"

#include <xxhash.h>

#include "messages/limits.hpp"
#include "messages/little_endian.hpp"
#include "messages/pack.hpp"
#include "messages/unpack.hpp"

namespace dkv {

namespace {
constexpr std::size_t kChecksumBytes = sizeof(std::uint64_t);
// A record is at least 8 bytes, so the size bounds the tokens.
constexpr std::size_t kMinRecordBytes = 8;
constexpr std::size_t kTokensPerRecord = 6;
}  // namespace

void RecordPacker::add(const RecordView& record) {
  const bool expires = record.expires_ms != 0;
  Packer out(records_);
  out.array(expires ? 5 : 4)
      .bytes(record.key)
      .uint(record.version.epoch.value)
      .uint(record.version.seq.value)
      .bytes(record.value);
  if (expires) out.uint(record.expires_ms);
  ++count_;
}

std::string RecordPacker::finish() {
  constexpr std::size_t kArrayBytes = 5;
  std::string out(kChecksumBytes, '\0');
  out.reserve(kChecksumBytes + kArrayBytes + records_.size());
  Packer(out).array(count_);
  out.append(records_);
  put_little_endian(out.data(),
                    std::uint64_t{XXH3_64bits(out.data() + kChecksumBytes, out.size() - kChecksumBytes)});
  records_.clear();
  count_ = 0;
  return out;
}

Result<std::vector<RecordView>> decode_records(std::string_view bytes) {
  if (bytes.size() < kChecksumBytes) return Error{Errc::corrupt, "records: too short"};
  const std::string_view body = bytes.substr(kChecksumBytes);
  if (get_little_endian<std::uint64_t>(bytes) != XXH3_64bits(body.data(), body.size())) {
    return Error{Errc::corrupt, "records: their checksum does not hold"};
  }
  thread_local Unpacker in;
  in.parse(body, 1 + body.size() / kMinRecordBytes * kTokensPerRecord);
  const std::size_t count = in.array();
  std::vector<RecordView> records;
  records.reserve(count);
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    RecordView record;
    const std::size_t fields = in.array();
    record.key = in.bytes(kMaxKeyBytes);
    record.version.epoch = Epoch{in.uint()};
    record.version.seq = Seq{in.uint()};
    record.value = in.bytes(kMaxValueBytes);
    if (fields == 5) record.expires_ms = in.uint(kMaxTimeMs);
    if (fields != (record.expires_ms == 0 ? 4U : 5U)) in.fail();
    if (record.key.empty() || (i > 0 && record.key <= records.back().key)) in.fail();
    records.push_back(record);
  }
  if (!in.done()) return Error{Errc::bad_request, "records that make no sense"};
  return records;
}

}  // namespace dkv
