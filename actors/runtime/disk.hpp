// A data folder as actors see it. Given by the world: PosixDisk, or a simulated one that loses what was
// not synced. Blocking: used only by actors whose business is waiting for the disk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "messages/result.hpp"

namespace dkv {

/// An open file. Errors: io_error; disk_full only where it says so.
class File {
 public:
  virtual ~File() = default;
  virtual std::uint64_t size() const = 0;
  /// Writes all parts, one after the other, from `offset` on, over what is there; at most size(), so that
  /// no file has a hole. On error any of it may have been written. Errors: also disk_full.
  virtual Result<void> write(std::uint64_t offset, const std::vector<std::string_view>& parts) = 0;
  /// After success everything written is durable (fdatasync). After an error nothing may be assumed.
  virtual Result<void> sync() = 0;
  /// Up to `count` bytes from `offset`; fewer only at the end of the file.
  virtual Result<std::string> read(std::uint64_t offset, std::size_t count) const = 0;
};

class Disk {
 public:
  virtual ~Disk() = default;
  /// The names of the files in the folder, sorted.
  virtual Result<std::vector<std::string>> list() const = 0;
  /// Opens a file for reading and writing; `create` makes an empty one if there is none, its name durable on
  /// return. Errors: io_error, with `create` also disk_full.
  virtual Result<std::unique_ptr<File>> open(const std::string& name, bool create) = 0;
  /// Gives a file another name, in one step and durable on return; `to` must not exist. Open files stay
  /// open. Errors: disk_full, the file has its old name; io_error, it may have either.
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  /// Durable on return; a file that is not there has been removed. When it is open, it must not be used any
  /// more. After an error it may still be there.
  virtual Result<void> remove(const std::string& name) = 0;
};

}  // namespace dkv
