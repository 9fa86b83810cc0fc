// A data folder on a real file system: the Disk of ZmqWorld's log actors.
//
// sync() is fdatasync, which also writes the length. Names are durable because the folder is synced after
// each change, and by list() too, whoever made them. Errors name the file and carry the system's reason. Not
// for network file systems.
#pragma once

#include <string>

#include "actors/runtime/disk.hpp"

namespace dkv {

class PosixDisk final : public Disk {
 public:
  /// read_only: whatever would change something is an io_error, by the system's own word for what is open;
  /// also nothing is synced.
  enum class Access { read_write, read_only };

  /// `folder` must exist.
  explicit PosixDisk(std::string folder, Access access = Access::read_write)
      : folder_(std::move(folder)), access_(access) {}

  Result<std::vector<std::string>> list() const override;
  Result<std::unique_ptr<File>> open(const std::string& name, bool create) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& name) override;

 private:
  Result<void> check_writable(const std::string& path) const;

  std::string folder_;
  Access access_;
};

/// Makes the names in `folder` durable.
Result<void> sync_folder(const std::string& folder);

/// The error for a failed system call on `path`: disk_full for ENOSPC and EDQUOT, else io_error.
Error system_error(int code, const std::string& what, const std::string& path);

}  // namespace dkv
