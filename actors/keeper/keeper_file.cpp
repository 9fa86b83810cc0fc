#include "actors/keeper/keeper_file.hpp"

#include <optional>
#include <xxhash.h>

#include "messages/limits.hpp"
#include "messages/little_endian.hpp"
#include "messages/pack.hpp"
#include "messages/pack_ballot.hpp"
#include "messages/unpack.hpp"

namespace dkv {

namespace {

constexpr std::uint64_t kFormatVersion = 1;
constexpr std::string_view kMagic = "dkvk";
constexpr std::size_t kHeaderBytes = 4 + 4 + 8;
constexpr std::size_t kMaxBodyBytes = kMaxTopologyBytes + 256;
constexpr std::size_t kMaxTokens = 32;
constexpr std::array<const char*, 2> kNames = {"keeper-a", "keeper-b"};

/// The body, if the file holds a whole one.
std::optional<std::string_view> body_of(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || !bytes.starts_with(kMagic)) return std::nullopt;
  const auto length = get_little_endian<std::uint32_t>(bytes, 4);
  if (length > bytes.size() - kHeaderBytes) return std::nullopt;
  const std::string_view body = bytes.substr(kHeaderBytes, length);
  if (XXH3_64bits(body.data(), body.size()) != get_little_endian<std::uint64_t>(bytes, 8))
    return std::nullopt;
  return body;
}

}  // namespace

/// In one of the files.
struct KeeperFile::Found {
  bool whole = false;
  bool empty = false;
  std::uint64_t generation = 0;
  KeeperState state;
};

Result<KeeperFile::Found> KeeperFile::read(const File& file) const {
  Found found;
  found.empty = file.size() == 0;
  const auto bytes = file.read(0, kHeaderBytes + kMaxBodyBytes);
  if (!bytes) return bytes.error();
  const auto body = body_of(*bytes);
  if (!body) return found;
  Unpacker in;
  in.parse(*body, kMaxTokens);
  if (in.array() == 0) in.fail();
  const std::uint64_t version = in.uint();
  if (in.ok() && version != kFormatVersion) {
    return Error{Errc::wrong_version,
                 "keeper: its files have format " + std::to_string(version) +
                     ", and this program knows 1 only; start the version that wrote them"};
  }
  found.generation = in.uint();
  const std::uint64_t cluster = in.uint();
  const std::uint64_t node = in.uint();
  found.state.incarnation = in.uint();
  found.state.since = in.uint();
  found.state.promised = read_ballot(in);
  found.state.accepted = read_ballot(in);
  found.state.topology = std::string(in.bytes(kMaxTopologyBytes));
  // Its checksum is right: whoever wrote this was not us.
  if (!in.done()) return Error{Errc::corrupt, "keeper: a file with a right checksum makes no sense"};
  if (cluster != cluster_ || node != node_.value)
    return Error{Errc::in_use, "keeper: its files belong to another node or cluster"};
  found.whole = true;
  return found;
}

Result<KeeperState> KeeperFile::open(std::uint64_t new_incarnation) {
  DKV_ASSERT(new_incarnation != 0);
  std::array<Found, 2> found;
  for (std::size_t i = 0; i < found.size(); ++i) {
    auto file = disk_->open(kNames[i], true);
    if (!file) return file.error();
    auto read_one = read(**file);
    if (!read_one) return read_one.error();
    files_[i] = std::move(*file);
    found[i] = std::move(*read_one);
  }
  const auto& [a, b] = found;
  // The second is written once the first is synced. So without a second nothing was ever answered, and a
  // folder of a new incarnation is safe in any case: it counts nowhere until others admit it.
  if (!a.whole && b.empty) {
    KeeperState fresh;
    fresh.incarnation = new_incarnation;
    if (auto saved = save(fresh); !saved) return saved.error();
    return fresh;
  }
  if (!a.whole && !b.whole) {
    return Error{
        Errc::corrupt,
        "keeper: neither keeper-a nor keeper-b can be read, so nobody knows what was promised; stop this "
        "node and remove both: it becomes a new keeper, which the others admit"};
  }
  const Found& newest = !b.whole || (a.whole && a.generation > b.generation) ? a : b;
  generation_ = newest.generation;
  if (!a.whole || !b.whole || a.generation != b.generation) {
    repaired_ = !a.whole || !b.whole;
    first_ = &newest == &a ? 1 : 0;
    if (auto saved = save(newest.state); !saved) return saved.error();
  }
  return newest.state;
}

std::string KeeperFile::pack(const KeeperState& state) const {
  std::string body;
  Packer out(body);
  out.array(9).uint(kFormatVersion).uint(generation_).uint(cluster_).uint(node_.value);
  out.uint(state.incarnation).uint(state.since);
  pack_ballot(out, state.promised);
  pack_ballot(out, state.accepted);
  out.bytes(state.topology);
  std::string bytes(kMagic);
  append_little_endian(bytes, static_cast<std::uint32_t>(body.size()));
  append_little_endian(bytes, static_cast<std::uint64_t>(XXH3_64bits(body.data(), body.size())));
  return bytes + body;
}

Result<void> KeeperFile::write(File& file, const std::string& bytes) {
  if (auto written = file.write(0, {bytes}); !written) return written;
  return file.sync();
}

Result<void> KeeperFile::save(const KeeperState& state) {
  ++generation_;
  const std::string bytes = pack(state);
  if (auto written = write(*files_[first_], bytes); !written) return written;
  first_ = 1 - first_;
  return write(*files_[first_], bytes);
}

}  // namespace dkv
