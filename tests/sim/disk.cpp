#include "tests/sim/disk.hpp"

#include <algorithm>

namespace dkv::sim {

namespace {

constexpr std::size_t kSectorBytes = 64;  // small, so that small frames tear too

void put(std::string& file, std::size_t offset, std::string_view bytes) {
  if (file.size() < offset + bytes.size()) file.resize(offset + bytes.size());
  file.replace(offset, bytes.size(), bytes);
}

class SimFile : public File {
 public:
  SimFile(FileState& state, Platter& platter, Stopwatch& watch, Random& random)
      : state_(state), platter_(platter), watch_(watch), random_(random) {}

  std::uint64_t size() const override { return state_.content.size(); }

  Result<void> write(std::uint64_t offset, const std::vector<std::string_view>& parts) override {
    platter_.step();
    settle();
    DKV_ASSERT(offset <= size());
    FileState::Write write{offset, {}, watch_.now + watch_.spent};
    for (const std::string_view part : parts) write.bytes.append(part);
    const std::size_t end = offset + write.bytes.size();
    const std::size_t grows = end > size() ? end - size() : 0;
    const std::size_t used = platter_.size();
    const std::size_t room = platter_.capacity > used ? platter_.capacity - used : 0;
    const bool full = grows > room;
    if (full) write.bytes.resize(write.bytes.size() - (grows - room));
    put(state_.content, write.offset, write.bytes);
    state_.unsynced.push_back(std::move(write));
    if (full) return Error{Errc::disk_full, "no space left on the simulated disk"};
    return {};
  }

  Result<void> sync() override {
    platter_.step();
    settle();
    watch_.spent += random_.between(50us, random_.chance(20'000) ? Duration{50ms} : Duration{2ms});
    watch_.spent += platter_.sync_stalls;
    if (platter_.sync_fails) {
      // As Linux does: what was not written counts as clean from now on, and is read from the cache.
      state_.unsynced.clear();
      state_.syncing = 0;
      return Error{Errc::io_error, "the simulated disk does not sync"};
    }
    if (platter_.lies) return {};
    state_.syncing = state_.unsynced.size();
    state_.sync_ends = watch_.now + watch_.spent;
    return {};
  }

  Result<std::string> read(std::uint64_t offset, std::size_t count) const override {
    if (offset >= state_.content.size()) return std::string{};
    return state_.content.substr(offset, count);
  }

 private:
  /// Takes note of a sync that has finished since.
  void settle() {
    if (watch_.now + watch_.spent >= state_.sync_ends) state_.settle(std::exchange(state_.syncing, 0));
  }

  FileState& state_;
  Platter& platter_;
  Stopwatch& watch_;
  Random& random_;
};

}  // namespace

void FileState::keep(const Write& write, std::size_t first, std::size_t count) {
  put(durable, write.offset + first, std::string_view(write.bytes).substr(first, count));
}

void FileState::settle(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) keep(unsynced[i], 0, unsynced[i].bytes.size());
  unsynced.erase(unsynced.begin(), unsynced.begin() + static_cast<std::ptrdiff_t>(count));
}

void Platter::crash(TimePoint now, std::size_t sector_bytes, const Kept& kept) {
  for (auto& [name, file] : files) {
    if (!lies && now >= file.sync_ends) file.settle(std::exchange(file.syncing, 0));
    for (std::size_t n = 0; n < file.unsynced.size(); ++n) {
      const FileState::Write& write = file.unsynced[n];
      if (write.begun > now) continue;
      const std::size_t end = write.offset + write.bytes.size();
      for (std::size_t at = write.offset; at < end;) {
        const std::size_t next = std::min((at / sector_bytes + 1) * sector_bytes, end);
        if (kept(n, at)) file.keep(write, at - write.offset, next - at);
        at = next;
      }
    }
    file.content = file.durable;  // what survived is on the platter now
    file.unsynced.clear();
    file.syncing = 0;
  }
}

void Platter::take_back_names(TimePoint now) {
  for (; !name_changes.empty(); name_changes.pop_back()) {
    NameChange& change = name_changes.back();
    if (change.begun <= now) continue;
    FileState file = change.to.empty() ? std::move(change.file) : std::move(files[change.to]);
    if (!change.to.empty()) files.erase(change.to);
    files.insert_or_assign(change.from, std::move(file));
  }
}

void Platter::crash(TimePoint now, Random& random) {
  switch (random.below(4)) {
    case 0:
      return crash(now, kSectorBytes, [](std::size_t, std::size_t) { return false; });
    case 1:
      return crash(now, kSectorBytes, [](std::size_t, std::size_t) { return true; });
    case 2: {
      // A beginning of it, up to any byte.
      std::size_t left = random.below(random.chance(500'000) ? 200 : 4000);
      return crash(now, 1, [&](std::size_t, std::size_t) { return left > 0 && left-- > 0; });
    }
    default: {
      const std::uint64_t part = random.below(1'000'000);
      return crash(now, kSectorBytes, [&](std::size_t, std::size_t) { return random.chance(part); });
    }
  }
}

std::size_t Platter::size() const {
  std::size_t bytes = 0;
  for (const auto& [name, file] : files) bytes += file.content.size();
  return bytes;
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
  note_name_change({watch_.now + watch_.spent, to, from, {}});
  return {};
}

void SimDisk::note_name_change(Platter::NameChange change) {
  std::erase_if(platter_.name_changes, [&](const auto& older) { return older.begun <= watch_.now; });
  platter_.name_changes.push_back(std::move(change));
}

Result<void> SimDisk::remove(const std::string& name) {
  platter_.step();
  auto file = platter_.files.extract(name);
  if (!file.empty()) note_name_change({watch_.now + watch_.spent, {}, name, std::move(file.mapped())});
  return {};
}

}  // namespace dkv::sim
