// What a keeper must not forget, on disk. Written whole, twice: into one file and, once that is synced, into
// the other; first into the one that is not known to be whole. So whenever a write is cut short, the other
// file is whole and holds everything that was ever answered; and when a file that was whole is damaged later,
// the other one holds the same. Only when neither can be read is something lost, and then open() says so.
//
//   file     = magic length checksum body
//   magic    = "dkvk"
//   length   = of the body, 4 bytes, little-endian
//   checksum = XXH3-64 of the body, 8 bytes, little-endian
//   body     = [1, generation, cluster, node, incarnation, since, promised, accepted, topology]    msgpack
//   promised, accepted = [counter, node, process];  topology = bytes, as topology/codec.hpp encodes it
//
// What an earlier, longer state left behind the body is of no concern. Blocks: for actors with a thread.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "actors/runtime/disk.hpp"
#include "messages/ballot.hpp"
#include "messages/ids.hpp"

namespace dkv {

/// All that an acceptor is.
struct KeeperState {
  std::uint64_t incarnation = 0;  // made with the folder, never 0
  std::uint64_t since = 1;        // the topology version that made this folder a keeper's, as far as it knows
  Ballot promised;                // nothing below it will be accepted
  Ballot accepted;                // zero: nothing
  std::string topology;           // what was accepted; empty: nothing
  bool operator==(const KeeperState&) const = default;
};

class KeeperFile {
 public:
  KeeperFile(std::unique_ptr<Disk> disk, std::uint64_t cluster, NodeId node)
      : disk_(std::move(disk)), cluster_(cluster), node_(node) {}

  /// Once, and again after disk_full. Reads the state, and writes it again where one of its files was cut
  /// short or damaged; in an empty folder begins one of that incarnation. Errors: corrupt, wrong_version,
  /// in_use (another cluster's or node's), disk_full, io_error.
  Result<KeeperState> open(std::uint64_t new_incarnation);

  /// After success, and only then, `state` survives. After disk_full the old state or this one does, and
  /// save() may be tried again; after any other error nothing may be assumed, and it must not be used any
  /// more.
  Result<void> save(const KeeperState& state);

  /// A file was found damaged by open(), or cut short.
  bool was_repaired() const { return repaired_; }

 private:
  struct Found;

  Result<Found> read(const File& file) const;
  Result<void> write(File& file, const std::string& bytes);
  std::string pack(const KeeperState& state) const;

  std::unique_ptr<Disk> disk_;
  std::uint64_t cluster_;
  NodeId node_;
  std::array<std::unique_ptr<File>, 2> files_;
  std::size_t first_ = 0;  // of files_, to be written: the other one is whole
  std::uint64_t generation_ = 0;
  bool repaired_ = false;
};

}  // namespace dkv
