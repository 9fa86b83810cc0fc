#include "tests/sim/disk.hpp"

#include <algorithm>

namespace dkv::sim {

namespace {

constexpr std::size_t kSectorBytes = 64;  // small, so that small frames tear too

class SimFile : public File {
 public:
  SimFile(FileState& state, Platter& platter, Stopwatch& watch, Random& random)
      : state_(state), platter_(platter), watch_(watch), random_(random) {}

  std::uint64_t size() const override { return state_.content.size(); }

  Result<void> append(const std::vector<std::string_view>& parts) override {
    platter_.step();
    settle();
    for (const std::string_view part : parts) state_.content.append(part);
    return {};
  }

  Result<void> sync() override {
    platter_.step();
    settle();
    watch_.spent += random_.between(50us, random_.chance(20'000) ? Duration{50ms} : Duration{2ms});
    if (platter_.lies) return {};
    state_.syncing = state_.content.size();
    state_.sync_ends = watch_.now + watch_.spent;
    return {};
  }

  Result<std::string> read(std::uint64_t offset, std::size_t count) const override {
    if (offset >= state_.content.size()) return std::string{};
    return state_.content.substr(offset, count);
  }

  Result<void> truncate(std::uint64_t size) override {
    platter_.step();
    settle();
    if (size < state_.content.size()) state_.cut_tail = state_.content.substr(size);
    state_.content.resize(size);
    state_.durable = std::min<std::size_t>(state_.durable, size);
    state_.syncing = state_.durable;
    return {};
  }

 private:
  /// Takes note of a sync that has finished since.
  void settle() {
    if (state_.syncing > state_.durable && watch_.now + watch_.spent >= state_.sync_ends) {
      state_.durable = state_.syncing;
      state_.cut_tail.clear();
    }
  }

  FileState& state_;
  Platter& platter_;
  Stopwatch& watch_;
  Random& random_;
};

void lose_unsynced(FileState& file, Random& random) {
  const std::size_t kept = std::min(file.durable, file.content.size());
  std::string tail = file.content.substr(kept);
  if (tail.empty() && !file.cut_tail.empty() && random.chance(500'000)) tail = file.cut_tail;
  file.content.resize(kept);
  switch (random.below(4)) {
    case 0:
      break;
    case 1:
      file.content += tail;
      break;
    case 2:
      file.content += tail.substr(0, random.below(tail.size() + 1));
      break;
    case 3:
      for (std::size_t at = 0; at < tail.size(); at += kSectorBytes) {
        if (!random.chance(300'000)) continue;
        const std::size_t end = std::min(at + kSectorBytes, tail.size());
        std::fill(tail.begin() + static_cast<std::ptrdiff_t>(at),
                  tail.begin() + static_cast<std::ptrdiff_t>(end), '\0');
      }
      file.content += tail;
      break;
  }
  file.cut_tail.clear();
  // What survived is on the platter now.
  file.durable = file.syncing = file.content.size();
}

}  // namespace

void Platter::crash(TimePoint now, Random& random) {
  for (auto& [name, file] : files) {
    if (!lies && file.syncing > file.durable && now >= file.sync_ends) {
      file.durable = file.syncing;
      file.cut_tail.clear();
    }
    lose_unsynced(file, random);
  }
}

Result<std::vector<std::string>> SimDisk::list() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : platter_.files) names.push_back(name);
  return names;
}

Result<std::unique_ptr<File>> SimDisk::open(const std::string& name, bool create) {
  if (create) platter_.step();
  if (!create && !platter_.files.contains(name)) return Error{Errc::io_error, "no such file: " + name};
  return std::unique_ptr<File>(std::make_unique<SimFile>(platter_.files[name], platter_, watch_, random_));
}

Result<void> SimDisk::rename(const std::string& from, const std::string& to) {
  platter_.step();
  DKV_ASSERT(!platter_.files.contains(to));
  auto file = platter_.files.extract(from);  // open files refer to the state, which stays where it is
  if (file.empty()) return Error{Errc::io_error, "no such file: " + from};
  file.key() = to;
  platter_.files.insert(std::move(file));
  return {};
}

Result<void> SimDisk::remove(const std::string& name) {
  platter_.step();
  if (platter_.files.erase(name) == 0) return Error{Errc::io_error, "no such file: " + name};
  return {};
}

}  // namespace dkv::sim
