#include "actors/runtime/memory_disk.hpp"

namespace dkv {

namespace {

Error missing(const std::string& name) { return {Errc::io_error, "no such file in memory: " + name}; }

class MemoryFile final : public File {
 public:
  explicit MemoryFile(std::shared_ptr<std::string> content) : content_(std::move(content)) {}

  std::uint64_t size() const override { return content_->size(); }

  Result<void> write(std::uint64_t offset, const std::vector<std::string_view>& parts) override {
    DKV_ASSERT(offset <= content_->size());
    for (const std::string_view part : parts) {
      content_->replace(offset, part.size(), part);
      offset += part.size();
    }
    return {};
  }

  Result<void> sync() override { return {}; }

  Result<std::string> read(std::uint64_t offset, std::size_t count) const override {
    if (offset >= content_->size()) return std::string{};
    return content_->substr(offset, count);
  }

 private:
  std::shared_ptr<std::string> content_;
};

}  // namespace

Result<std::vector<std::string>> MemoryDisk::list() const {
  std::vector<std::string> names;
  for (const auto& [name, content] : files_) names.push_back(name);
  return names;
}

Result<std::unique_ptr<File>> MemoryDisk::open(const std::string& name, bool create) {
  if (!create && !files_.contains(name)) return missing(name);
  auto& content = files_[name];
  if (!content) content = std::make_shared<std::string>();
  return std::unique_ptr<File>(std::make_unique<MemoryFile>(content));
}

Result<void> MemoryDisk::rename(const std::string& from, const std::string& to) {
  DKV_ASSERT(!files_.contains(to));
  auto file = files_.extract(from);
  if (file.empty()) return missing(from);
  file.key() = to;
  files_.insert(std::move(file));
  return {};
}

Result<void> MemoryDisk::remove(const std::string& name) {
  files_.erase(name);
  return {};
}

}  // namespace dkv
