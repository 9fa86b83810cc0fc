// The limits of keys, values and frames that every door and every socket shares. See messages/README.md.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dkv {

/// A key is 1 to 480 bytes, any bytes. LMDB's own limit is 511; the rest is room for prefixes of ours.
inline constexpr std::size_t kMaxKeyBytes = 480;
/// A value is 0 to 16 MiB, any bytes.
inline constexpr std::size_t kMaxValueBytes = std::size_t{16} << 20;
/// The latest moment that a record may expire at, in milliseconds since 1970: in nanoseconds it fits into 63
/// bits.
inline constexpr std::uint64_t kMaxTimeMs = 9'000'000'000'000;
/// Operations in one rpc request: bounds the work of one message and the tokens that it unpacks to.
inline constexpr std::size_t kMaxOperations = 4096;
/// An rpc request: one largest value, or many smaller ones, and their keys.
inline constexpr std::size_t kMaxRequestBytes = kMaxValueBytes + (std::size_t{1} << 20);
/// The values in one reply, which must fit into a message.
inline constexpr std::size_t kMaxReplyValueBytes = kMaxRequestBytes;
/// Records in one page of a scan, and about their bytes: one larger record has a page of its own.
inline constexpr std::size_t kMaxScanItems = 1000;
inline constexpr std::size_t kScanPageBytes = std::size_t{1} << 20;
/// A turn's events are cut into frames of about this size; a frame holds one larger event at most.
inline constexpr std::size_t kTargetFrameBytes = std::size_t{1} << 20;
/// No frame is larger: the target, passed by one event.
inline constexpr std::size_t kMaxFrameBytes = kTargetFrameBytes + kMaxValueBytes + (std::size_t{64} << 10);
/// The epochs that a log remembers: a crash loop makes one at each start.
inline constexpr std::size_t kMaxLogEpochs = 1000;
/// The bytes of log that one pull asks for, so that catch-up never blocks what shares its socket for long.
inline constexpr std::size_t kMaxPullBytes = std::size_t{1} << 20;
/// The bytes of frames that a watcher asks for at a time: it has one such question for each shard under way.
inline constexpr std::size_t kMaxChangesBytes = std::size_t{1} << 20;
/// The records in one chunk of a snapshot, about; a larger one has a chunk of its own. Reading and packing so
/// many takes a primary a millisecond or two, in which it does nothing else.
inline constexpr std::size_t kSnapshotChunkBytes = std::size_t{512} << 10;
/// Above the encoding of the largest valid topology (some 2 MB); a reader refuses more unread.
inline constexpr std::size_t kMaxTopologyBytes = std::size_t{4} << 20;
/// ZMQ_MAXMSGSIZE of every socket: a pull's answer may pass its budget by one frame.
inline constexpr std::size_t kMaxMessageBytes = kMaxFrameBytes + kMaxPullBytes + (std::size_t{64} << 10);

}  // namespace dkv
