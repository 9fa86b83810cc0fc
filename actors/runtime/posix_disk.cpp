#include "actors/runtime/posix_disk.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <sys/uio.h>
#include <system_error>
#include <unistd.h>

namespace dkv {

namespace {

/// Never disk_full, whatever the reason: that would mean that one may try again.
Error not_synced(int code, const std::string& path) {
  return {Errc::io_error, system_error(code, "cannot sync", path).message};
}

class PosixFile final : public File {
 public:
  PosixFile(int descriptor, std::string path, std::uint64_t size)
      : descriptor_(descriptor), path_(std::move(path)), size_(size) {}
  ~PosixFile() override { ::close(descriptor_); }
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  std::uint64_t size() const override { return size_; }
  Result<void> write(std::uint64_t offset, const std::vector<std::string_view>& parts) override;
  Result<void> sync() override;
  Result<std::string> read(std::uint64_t offset, std::size_t count) const override;

 private:
  Result<void> write_all(std::uint64_t offset, std::vector<iovec>& rest);

  int descriptor_;
  std::string path_;
  std::uint64_t size_;
  std::vector<iovec> vectors_;  // kept for its memory
};

Result<void> PosixFile::write(std::uint64_t offset, const std::vector<std::string_view>& parts) {
  DKV_ASSERT(offset <= size_);
  vectors_.clear();
  for (const std::string_view part : parts) {
    // writev does not change what it is given; iovec has no const.
    if (!part.empty()) vectors_.push_back({const_cast<char*>(part.data()), part.size()});
  }
  return write_all(offset, vectors_);
}

Result<void> PosixFile::write_all(std::uint64_t offset, std::vector<iovec>& rest) {
  std::size_t first = 0;
  while (first < rest.size()) {
    const std::size_t count = std::min<std::size_t>(rest.size() - first, IOV_MAX);
    const ssize_t done =
        ::pwritev(descriptor_, rest.data() + first, static_cast<int>(count), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return system_error(errno, "cannot write to", path_);
    offset += static_cast<std::uint64_t>(done);
    size_ = std::max(size_, offset);
    auto written = static_cast<std::size_t>(done);
    while (first < rest.size() && written >= rest[first].iov_len) written -= rest[first++].iov_len;
    if (written > 0) {
      rest[first].iov_base = static_cast<char*>(rest[first].iov_base) + written;
      rest[first].iov_len -= written;
    }
  }
  return {};
}

Result<void> PosixFile::sync() {
  // Not repeated after EINTR or anything else: after a failure nothing may be assumed.
  if (::fdatasync(descriptor_) != 0) return not_synced(errno, path_);
  return {};
}

Result<std::string> PosixFile::read(std::uint64_t offset, std::size_t count) const {
  if (offset >= size_) return std::string();
  std::string bytes(static_cast<std::size_t>(std::min<std::uint64_t>(count, size_ - offset)), '\0');
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t done = ::pread(descriptor_, bytes.data() + filled, bytes.size() - filled,
                                 static_cast<off_t>(offset + filled));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return system_error(errno, "cannot read", path_);
    if (done == 0) break;
    filled += static_cast<std::size_t>(done);
  }
  bytes.resize(filled);
  return bytes;
}

}  // namespace

Error system_error(int code, const std::string& what, const std::string& path) {
  const bool full = code == ENOSPC || code == EDQUOT;
  // std::generic_category, not strerror: it is safe in threads.
  return {full ? Errc::disk_full : Errc::io_error,
          what + " " + path + ": " + std::generic_category().message(code)};
}

Result<void> sync_folder(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return system_error(errno, "cannot open folder", folder);
  const int failed = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (failed != 0) return not_synced(failed, folder);
  return {};
}

Result<std::vector<std::string>> PosixDisk::list() const {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(folder_.c_str()), ::closedir);
  if (folder == nullptr) return system_error(errno, "cannot list folder", folder_);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(folder.get())) {
    struct stat about {};
    // A file that is left out for a moment's failure would be a hole in what the folder holds.
    if (::fstatat(::dirfd(folder.get()), entry->d_name, &about, 0) != 0) {
      return system_error(errno, "cannot examine", folder_ + "/" + entry->d_name);
    }
    if (S_ISREG(about.st_mode)) names.emplace_back(entry->d_name);
    errno = 0;
  }
  if (errno != 0) return system_error(errno, "cannot list folder", folder_);
  // A process that was killed between creating a file and syncing its folder left a name that a power loss
  // may still take. Whoever sees a name builds on it.
  if (access_ == Access::read_write) {
    if (auto synced = sync_folder(folder_); !synced) return synced.error();
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> PosixDisk::check_writable(const std::string& path) const {
  return access_ == Access::read_write ? Result<void>{}
                                       : system_error(EROFS, "opened to be read only:", path);
}

Result<std::unique_ptr<File>> PosixDisk::open(const std::string& name, bool create) {
  DKV_ASSERT(!name.empty() && name.find('/') == std::string::npos);
  const std::string path = folder_ + "/" + name;
  if (auto writable = check_writable(path); create && !writable) return writable.error();
  const int flags = (access_ == Access::read_write ? O_RDWR : O_RDONLY) | O_CLOEXEC | (create ? O_CREAT : 0);
  const int descriptor = ::open(path.c_str(), flags, 0640);
  if (descriptor < 0) return system_error(errno, create ? "cannot create" : "cannot open", path);
  struct stat about {};
  if (::fstat(descriptor, &about) != 0) {
    const int code = errno;
    ::close(descriptor);
    return system_error(code, "cannot examine", path);
  }
  std::unique_ptr<File> file =
      std::make_unique<PosixFile>(descriptor, path, static_cast<std::uint64_t>(about.st_size));
  if (create) {
    if (auto synced = sync_folder(folder_); !synced) return synced.error();
  }
  return file;
}

Result<void> PosixDisk::rename(const std::string& from, const std::string& to) {
  const std::string path = folder_ + "/" + from;
  if (auto writable = check_writable(path); !writable) return writable;
  const std::string target = folder_ + "/" + to;
  // EINVAL: a file system that cannot be told not to replace.
  const bool renamed = ::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) == 0 ||
                       (errno == EINVAL && ::rename(path.c_str(), target.c_str()) == 0);
  if (!renamed) return system_error(errno, "cannot rename", path);
  return sync_folder(folder_);
}

Result<void> PosixDisk::remove(const std::string& name) {
  const std::string path = folder_ + "/" + name;
  if (auto writable = check_writable(path); !writable) return writable;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error(errno, "cannot remove", path);
  return sync_folder(folder_);
}

}  // namespace dkv
