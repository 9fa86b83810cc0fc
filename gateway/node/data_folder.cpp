#include "gateway/node/data_folder.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "actors/runtime/posix_disk.hpp"

namespace dkv {

namespace {

constexpr std::uint64_t kFormat = 2;
constexpr std::string_view kShardPrefix = "shard-";
constexpr const char* kLockFile = "lock";
constexpr const char* kIdentityFile = "node.json";
constexpr const char* kKeeperFolder = "keeper";
constexpr const char* kIncarnationFile = "incarnation";
constexpr const char* kStartsFile = "starts";
/// A node.json has some 200 bytes.
constexpr std::size_t kMaxIdentityBytes = 64 << 10;

std::string to_hex(std::uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(number));
  return text;
}

/// The whole of a small file; nothing when it does not exist.
Result<std::optional<std::string>> read_small_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return std::optional<std::string>();
  if (file < 0) return system_error(errno, "cannot open", path);
  std::string text(kMaxIdentityBytes, '\0');
  const ssize_t size = ::read(file, text.data(), text.size());
  const int code = errno;
  ::close(file);
  if (size < 0) return system_error(code, "cannot read", path);
  text.resize(static_cast<std::size_t>(size));
  return std::optional<std::string>(std::move(text));
}

std::string new_name(const std::string& path) { return path + ".new"; }

/// A new file of this content, which is there as a whole or not at all.
Result<void> write_small_file(const std::string& path, const std::string& text) {
  const std::string new_path = new_name(path);
  const int file = ::open(new_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (file < 0) return system_error(errno, "cannot create", path);
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool synced = written && ::fsync(file) == 0;
  const int code = errno;
  ::close(file);
  if (!synced) return system_error(written ? code : ENOSPC, "cannot write", path);
  if (::rename(new_path.c_str(), path.c_str()) != 0) return system_error(errno, "cannot create", path);
  return sync_folder(path.substr(0, path.rfind('/')));
}

/// Whether the folder holds something, but nothing that a first start could have left behind.
Result<bool> is_somebody_elses(const std::string& path) {
  std::error_code code;
  bool foreign = false;
  for (std::filesystem::directory_iterator entry(path, code), end; !code && entry != end;
       entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    if (name == kIdentityFile) return false;
    foreign = foreign || (name != kLockFile && name != new_name(kIdentityFile));
  }
  if (code) return system_error(code.value(), "cannot list folder", path);
  return foreign;
}

/// Makes a folder whose name is durable, unless it is there; likewise those above it.
Result<void> make_folder(const std::string& path) {
  std::error_code code;
  std::vector<std::filesystem::path> missing;
  for (auto folder = std::filesystem::absolute(path, code);
       !folder.empty() && !std::filesystem::is_directory(folder, code); folder = folder.parent_path()) {
    missing.push_back(folder);
  }
  for (auto folder = missing.rbegin(); folder != missing.rend(); ++folder) {
    std::filesystem::create_directory(*folder, code);
    if (code.value() == EEXIST) code = std::make_error_code(std::errc::not_a_directory);
    if (code) return system_error(code.value(), "cannot create folder", path);
    if (auto synced = sync_folder(folder->parent_path().string()); !synced) return synced;
  }
  return {};
}

/// Of a shard's folder, made where there is none.
Result<std::uint64_t> incarnation_of(const std::string& folder) {
  const std::string file = folder + "/" + kIncarnationFile;
  const auto text = read_small_file(file);
  if (!text) return text.error();
  if (!*text) {
    const std::uint64_t made = random_number() | 1;
    if (auto written = write_small_file(file, to_hex(made) + "\n"); !written) return written.error();
    return made;
  }
  std::uint64_t number = 0;
  const char* end = (*text)->data() + (*text)->size();
  const auto read = std::from_chars((*text)->data(), end, number, 16);
  if (read.ec != std::errc() || number == 0 || std::string_view(read.ptr, end) != "\n")
    return Error{Errc::corrupt,
                 file +
                     " holds no incarnation; it was damaged. Without it this copy of the shard "
                     "is a new member: remove the file if another member has the shard's data"};
  return number;
}

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string text_of(const nlohmann::json& json, const char* name) {
  return json.contains(name) && json[name].is_string() ? json[name].get<std::string>() : "";
}

/// A JSON object of the format that this program knows.
Result<nlohmann::json> parse_identity(const std::string& text, const std::string& file) {
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("format") || !json["format"].is_number_unsigned()) {
    return Error{Errc::corrupt, file + " cannot be understood; it was damaged or written by somebody else"};
  }
  if (json["format"].get<std::uint64_t>() != kFormat) {
    return Error{Errc::wrong_version, file + " has format " + json["format"].dump() +
                                          ", and this program knows " + std::to_string(kFormat) +
                                          " only; start the version that wrote it"};
  }
  return json;
}

/// `as_is`: it need not be possible to write there.
Result<int> lock(const std::string& folder, bool as_is) {
  const std::string path = folder + "/" + kLockFile;
  int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (file < 0 && as_is && (errno == EROFS || errno == EACCES)) {
    file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  }
  if (file < 0) return system_error(errno, "cannot open", path);
  if (::flock(file, LOCK_EX | LOCK_NB) == 0) return file;
  const int code = errno;
  std::string pid(32, '\0');
  const ssize_t size = ::pread(file, pid.data(), pid.size(), 0);
  ::close(file);
  if (code != EWOULDBLOCK) return system_error(code, "cannot lock", path);
  pid.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  return Error{Errc::in_use, "the data folder " + folder + " is in use by " +
                                 (pid.empty() ? "another process" : "pid " + pid) + ": stop it first"};
}

}  // namespace

std::uint64_t random_number() {
  std::uint64_t number = 0;
  DKV_ASSERT(::getrandom(&number, sizeof(number), 0) == static_cast<ssize_t>(sizeof(number)));
  return number;
}

DataFolder::DataFolder(DataFolder&& other) noexcept
    : path_(std::move(other.path_)),
      lock_(std::exchange(other.lock_, -1)),
      incarnation_(std::move(other.incarnation_)),
      crashes_(other.crashes_) {}

DataFolder::~DataFolder() {
  if (lock_ >= 0) ::close(lock_);
}

Result<DataFolder> DataFolder::take(const std::string& wanted_path, const std::string& node,
                                    std::uint64_t cluster_id) {
  const std::string path = without_trailing_slashes(wanted_path);
  if (auto made = make_folder(path); !made) return made.error();
  const auto foreign = is_somebody_elses(path);
  if (!foreign) return foreign.error();
  if (*foreign) {
    return Error{Errc::in_use, "the folder " + path +
                                   " holds other files and no node.json: it is not a data folder; give "
                                   "an empty or new folder"};
  }
  const auto locked = lock(path, false);
  if (!locked) return locked.error();
  DataFolder folder(path, *locked);
  if (auto claimed = folder.claim(node, cluster_id); !claimed) return claimed.error();
  folder.count_start();
  return folder;
}

/// A number that cannot be read, or written on a full disk, keeps nobody from serving.
void DataFolder::count_start() {
  const std::string file = path_ + "/" + kStartsFile;
  if (const auto text = read_small_file(file); text && *text) {
    std::from_chars((*text)->data(), (*text)->data() + (*text)->size(), crashes_);
  }
  (void)write_small_file(file, std::to_string(crashes_ + 1) + "\n");
}

void DataFolder::forget_crashes() { (void)write_small_file(path_ + "/" + kStartsFile, "0\n"); }

Result<void> DataFolder::claim(const std::string& node, std::uint64_t cluster_id) {
  const auto identity = read_small_file(path_ + "/" + kIdentityFile);
  if (!identity) return identity.error();
  const auto known =
      *identity ? check_identity(**identity, node, cluster_id) : write_identity(node, cluster_id);
  return known ? write_pid() : known;
}

Result<void> DataFolder::write_pid() const {
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock_, 0) != 0 || ::pwrite(lock_, pid.data(), pid.size(), 0) < 0) {
    return system_error(errno, "cannot write", path_ + "/" + kLockFile);
  }
  return {};
}

Result<DataFolder> DataFolder::inspect(const std::string& wanted_path) {
  const std::string path = without_trailing_slashes(wanted_path);
  const std::string identity = path + "/" + kIdentityFile;
  if (struct stat about{}; ::stat(identity.c_str(), &about) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) return system_error(errno, "cannot examine", identity);
    return Error{Errc::bad_request, path + " is not a data folder: there is no node.json in it"};
  }
  const auto locked = lock(path, true);
  if (!locked) return locked.error();
  DataFolder folder(path, *locked);
  // So that whoever is refused meanwhile is told by whom. Where nobody can write nobody will be.
  (void)folder.write_pid();
  return folder;
}

Result<void> DataFolder::check_identity(const std::string& text, const std::string& node,
                                        std::uint64_t cluster_id) {
  const std::string file = path_ + "/" + kIdentityFile;
  const auto json = parse_identity(text, file);
  if (!json) return json.error();
  const auto text_of = [&json](const char* name) { return dkv::text_of(*json, name); };
  if (text_of("node") != node) {
    return Error{Errc::in_use, "the data folder " + path_ + " belongs to node '" + text_of("node") +
                                   "', not to '" + node + "'; nothing was changed"};
  }
  if (text_of("cluster") != to_hex(cluster_id)) {
    return Error{
        Errc::in_use,
        "the data folder " + path_ + " belongs to another cluster (" + text_of("cluster") +
            ", the topology file describes " + to_hex(cluster_id) +
            "); its name, node names, shards and keepers must be those that the folder was made with: use "
            "that file, or another folder; nothing was changed"};
  }
  incarnation_ = text_of("incarnation");
  if (incarnation_.empty()) return Error{Errc::corrupt, file + " names no incarnation; it was damaged"};
  return {};
}

Result<void> DataFolder::write_identity(const std::string& node, std::uint64_t cluster_id) {
  incarnation_ = to_hex(random_number()) + to_hex(random_number());
  const nlohmann::ordered_json identity = {
      {"format", kFormat}, {"node", node}, {"cluster", to_hex(cluster_id)}, {"incarnation", incarnation_}};
  return write_small_file(path_ + "/" + kIdentityFile, identity.dump(2) + "\n");
}

DataFolder::ShardFolder DataFolder::shard_paths(const std::string& shard_name) const {
  const std::string log = path_ + "/" + std::string(kShardPrefix) + shard_name;
  return {log, log + "/store"};
}

Result<std::string> DataFolder::keeper_folder() const {
  std::string folder = path_ + "/" + kKeeperFolder;
  if (auto made = make_folder(folder); !made) return made.error();
  return folder;
}

Result<DataFolder::ShardFolder> DataFolder::shard_folder(const std::string& shard_name) const {
  ShardFolder folder = shard_paths(shard_name);
  if (auto made = make_folder(folder.log); !made) return made.error();
  const auto incarnation = incarnation_of(folder.log);
  if (!incarnation) return incarnation.error();
  folder.incarnation = *incarnation;
  if (auto made = make_folder(folder.store); !made) return made.error();
  return folder;
}

Result<std::vector<std::string>> DataFolder::shard_names() const {
  std::error_code code;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator entry(path_, code), end; !code && entry != end;
       entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    const bool is_folder = entry->is_directory(code);
    if (is_folder && name.starts_with(kShardPrefix)) names.push_back(name.substr(kShardPrefix.size()));
  }
  if (code) return system_error(code.value(), "cannot list folder", path_);
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::string> DataFolder::node_name() const {
  const std::string file = path_ + "/" + kIdentityFile;
  const auto text = read_small_file(file);
  if (!text) return text.error();
  const auto json = parse_identity(text->value_or(""), file);
  if (!json) return json.error();
  const std::string name = text_of(*json, "node");
  if (name.empty() || text_of(*json, "cluster").empty() || text_of(*json, "incarnation").empty()) {
    return Error{Errc::corrupt, file + " does not say whose folder this is; it was damaged"};
  }
  return name;
}

}  // namespace dkv
