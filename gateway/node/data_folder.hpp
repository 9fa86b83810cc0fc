// A node's data folder: whose it is, and that only one process uses it. Layout:
//   lock         held (flock) while the node runs; its pid
//   node.json    format version, node, cluster and incarnation; written once, when the folder is first used
//   starts       how many processes in a row have ended in a crash soon after their start
//   keeper/      on a keeper's node: what it has promised and accepted
//   shard-NAME/  one per shard placed here: log segments, and its incarnation; store/ below it is the LMDB
//                environment
// LMDB and the log both break when two processes open them, and would serve anything that a wrong folder
// holds: so both are checked before anything is opened, and a refusal changes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "messages/result.hpp"

namespace dkv {

class DataFolder {
 public:
  /// Makes the folder if it is missing, locks it, and makes or checks its identity. Errors: in_use (another
  /// process has it, or it belongs to another node or cluster, or to somebody else altogether),
  /// wrong_version, io_error, disk_full (it cannot be written to).
  static Result<DataFolder> take(const std::string& path, const std::string& node, std::uint64_t cluster_id);
  /// Locks an existing folder in order to look at it: neither makes nor checks nor changes anything but the
  /// lock's pid, and not even that where the file system is mounted to be read only. Errors: bad_request (it
  /// is no data folder), in_use (a process has it), io_error.
  static Result<DataFolder> inspect(const std::string& path);
  /// Lets go of the lock.
  ~DataFolder();
  DataFolder(DataFolder&& other) noexcept;
  DataFolder& operator=(DataFolder&&) = delete;

  const std::string& path() const { return path_; }
  /// Of one that was taken. Made with the folder, and like no other's.
  const std::string& incarnation() const { return incarnation_; }

  /// Of one that was taken: how many processes before this one, in a row, have neither ended cleanly nor been
  /// told to have lasted.
  std::uint64_t crashes() const { return crashes_; }
  /// This process has lasted, or ends cleanly: the next one counts from nothing.
  void forget_crashes();

  /// The folder of a shard's log, and in it that of its store; made durably if missing. Its incarnation is
  /// made with it: a copy that was wiped is a new member of its shard. Errors: also corrupt.
  struct ShardFolder {
    std::string log;
    std::string store;
    std::uint64_t incarnation = 0;  // 0 where it was not asked for
  };
  Result<ShardFolder> shard_folder(const std::string& shard_name) const;
  /// The keeper's; made durably if missing.
  Result<std::string> keeper_folder() const;
  /// The same, made or not.
  ShardFolder shard_paths(const std::string& shard_name) const;
  /// Those that are there, sorted. Errors: io_error.
  Result<std::vector<std::string>> shard_names() const;
  /// Whose folder it says it is. Errors: corrupt, wrong_version, io_error.
  Result<std::string> node_name() const;

 private:
  DataFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  Result<void> claim(const std::string& node, std::uint64_t cluster_id);
  Result<void> check_identity(const std::string& text, const std::string& node, std::uint64_t cluster_id);
  Result<void> write_pid() const;
  Result<void> write_identity(const std::string& node, std::uint64_t cluster_id);
  void count_start();

  std::string path_;
  int lock_;
  std::string incarnation_;
  std::uint64_t crashes_ = 0;
};

/// Bits that nobody can guess, from the system.
std::uint64_t random_number();

}  // namespace dkv
