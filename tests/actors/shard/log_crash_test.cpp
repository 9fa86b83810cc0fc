// The log's crash-point proof. One life of a log (turns, segment changes, trims, segments written over again,
// resets, cuts, a full disk, recoveries) on a disk that counts its steps. The power fails before each step;
// of what was not synced then each beginning, each end, each sector alone, all but each sector, each write
// alone and all but each write survives; the log is opened again, and power fails before each step of that
// too, and of the turns after it. Every time: what was acknowledged and not cut is there, byte for byte; what
// is there beyond that is the whole turn that was being written, or all that was being cut; nothing above a
// finished cut comes back; and the log goes on.
#include <gtest/gtest.h>
#include <iostream>
#include <optional>
#include <set>

#include "actors/shard/log.hpp"
#include "tests/sim/disk.hpp"

namespace dkv {
namespace {

constexpr ShardId kShard{3};
constexpr std::uint64_t kSegmentBytes = 250;
constexpr std::uint64_t kRetainBytes = 200;
constexpr std::size_t kSectorBytes = 32;

/// What a log must hold.
struct Model {
  Position applied;                  // the store's: the log must reach back to it
  Position head;                     // acknowledged
  std::map<Seq, FrameBytes> frames;  // of this history, the ones being written too
  std::set<Position> writing;        // ends of the turn being written; several when it was tried again
  std::optional<Position> resetting;
  std::optional<Position> cutting;
  bool cuts = false;  // it is the part of its life that cuts: what comes after a crash cuts too
};

/// A log on a disk, used as the log actor uses it. Notes the first thing that is wrong.
class Life {
 public:
  Life(sim::Platter& platter, Model& model, std::uint64_t epoch)
      : platter_(platter), model_(model), epoch_(epoch), log_(open_disk(), options()) {}

  const std::string& violation() const { return violation_; }

  /// Opens the log, and takes for acknowledged whatever it holds.
  void recover() {
    std::vector<std::pair<Position, std::string>> found;
    const auto replay = [&](std::string_view bytes, const FrameView& frame) {
      found.emplace_back(frame.last(), bytes);
    };
    auto opened = log_.open(model_.applied, replay);
    if (!opened && model_.resetting) {
      // The reset was through: it is the new log, and empty.
      begin_at(*model_.resetting);
      found.clear();
      log_ = Log(open_disk(), options());
      opened = log_.open(model_.applied, replay);
    }
    model_.resetting.reset();
    if (!opened) return violated("it does not open: " + opened.error().message);
    Seq expected = model_.applied.seq;
    for (const auto& [last, bytes] : found) {
      ++expected.value;
      const auto wanted = model_.frames.find(expected);
      if (last.seq != expected) return violated("it holds " + to_string(last) + " out of order");
      if (wanted == model_.frames.end() || *wanted->second != bytes) {
        return violated("what it holds at " + to_string(last) + " was never written there");
      }
    }
    const Position head = log_.head();
    if (head != model_.head && !model_.writing.contains(head) && head != model_.cutting) {
      return violated("it ends at " + to_string(head) + ", acknowledged was " + to_string(model_.head));
    }
    if (expected != head.seq) return violated("it did not replay up to its head");
    model_.frames.erase(model_.frames.upper_bound(head.seq), model_.frames.end());
    model_.head = head;
    model_.writing.clear();
    model_.cutting.reset();
    check_reading();
  }

  /// One turn. False when the disk is full.
  bool append(int count, std::size_t value_bytes) {
    std::vector<FrameBytes> frames;
    Position last = model_.head;
    for (int i = 0; i < count; ++i) {
      FramePacker packer;
      const Position next{Epoch{epoch_}, Seq{last.seq.value + 1}};
      packer.add(
          {EventType::put, "key", std::string(value_bytes, static_cast<char>('a' + next.seq.value % 26))});
      frames.push_back(packer.finish(kShard, Epoch{epoch_}, last, Seq{0}));
      last = next;
      model_.frames[last.seq] = frames.back();
    }
    model_.writing.insert(last);
    const auto appended = log_.append(frames, last);
    if (!appended && appended.error().code == Errc::disk_full) return false;
    if (!appended) violated("a turn failed: " + appended.error().message);
    model_.head = last;
    model_.writing.clear();
    return true;
  }

  void checkpoint_and_trim(Position upto, bool make_room = false) {
    model_.applied = upto;
    if (auto trimmed = log_.trim(upto.seq, make_room); !trimmed) violated(trimmed.error().message);
  }

  void reset(Position at) {
    model_.resetting = at;
    if (auto reset = log_.reset(at); !reset) violated(reset.error().message);
    begin_at(at);
  }

  /// To the end of the frame with event `seq`, by a primary of a new epoch. False when the disk is full.
  bool cut(Seq seq) {
    const Position at =
        seq == model_.applied.seq ? model_.applied : decode_frame(*model_.frames.at(seq))->last();
    model_.cutting = at;
    const auto cut = log_.cut(at);
    const bool full = !cut && cut.error().code == Errc::disk_full;
    if (!cut && !full) violated("a cut failed: " + cut.error().message);
    model_.cutting.reset();
    if (full) return false;
    model_.frames.erase(model_.frames.upper_bound(seq), model_.frames.end());
    model_.head = at;
    ++epoch_;
    check_reading();
    return true;
  }
  /// The same, by how many events less.
  bool cut_last(std::uint64_t count) { return cut(Seq{model_.head.seq.value - count}); }

  void check_reading() {
    auto read = log_.read_after(model_.applied, 1 << 20);
    if (!read || read->reach != LogReach::found) return violated("it cannot be read from the checkpoint on");
    std::string expected;
    for (auto at = model_.frames.upper_bound(model_.applied.seq); at != model_.frames.end(); ++at) {
      expected += *at->second;
    }
    if (read->frames != expected) violated("it reads back differently");
  }

  Position head() const { return model_.head; }

 private:
  static LogOptions options() { return {kShard, 0x5a17, kSegmentBytes, kRetainBytes}; }
  std::unique_ptr<Disk> open_disk() { return std::make_unique<sim::SimDisk>(platter_, watch_, random_); }
  void begin_at(Position at) {
    model_ = {.applied = at,
              .head = at,
              .frames = {},
              .writing = {},
              .resetting = {},
              .cutting = {},
              .cuts = model_.cuts};
  }
  void violated(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }

  sim::Platter& platter_;
  Model& model_;
  std::uint64_t epoch_;
  sim::Stopwatch watch_;
  sim::Random random_{1};
  Log log_;
  std::string violation_;
};

/// Cuts of all kinds, each followed by turns of the next epoch.
std::string cutting_life(sim::Platter& platter, Model& model, std::uint64_t epoch) {
  model.cuts = true;
  {
    Life life(platter, model, epoch);
    life.recover();
    life.append(3, 10);
    life.cut_last(1);  // in the middle of a turn
    life.append(1, 10);
    life.append(2, 10);
    life.cut_last(2);  // at a turn's end
    life.append(2, 10);
    for (int i = 0; i < 3; ++i) life.append(2, 30);
    life.cut_last(5);  // across segments, in the middle of a turn
    life.append(1, 10);
    life.cut_last(2);  // again, deeper
    life.append(1, 10);
    if (!life.violation().empty()) return life.violation();
    life.checkpoint_and_trim(life.head());
    life.append(3, 10);
    life.cut_last(2);  // right after a trim
    life.append(1, 10);
    life.checkpoint_and_trim(life.head(), true);
    platter.capacity = platter.size();
    life.append(2, 30);
    while (life.append(1, 30)) {
    }
    if (life.cut_last(1)) return "a full disk took a cut";
    platter.capacity = SIZE_MAX;
    life.cut_last(1);
    if (!life.violation().empty()) return life.violation();
  }
  Life life(platter, model, epoch + 10);  // a restart, and nothing follows the cut
  life.recover();
  life.reset({Epoch{epoch + 10}, Seq{life.head().seq.value + 5}});
  life.append(1, 10);
  life.cut_last(1);  // where the log begins
  life.append(1, 10);
  return life.violation();
}

/// All that can happen to a log. Throws PowerLoss in the middle.
std::string whole_life(sim::Platter& platter, Model& model) {
  {
    Life life(platter, model, 1);
    life.recover();
    for (int i = 0; i < 8; ++i) life.append(1 + i % 3, 5 + static_cast<std::size_t>(i) * 5);
    life.checkpoint_and_trim(life.head());  // leaves some for followers
    for (int i = 0; i < 6; ++i) life.append(1, 40);
    life.checkpoint_and_trim(life.head());
    for (int i = 0; i < 6; ++i) life.append(1, 60);  // over what was freed
    life.check_reading();
    if (!life.violation().empty()) return life.violation();
  }
  {
    Life life(platter, model, 2);  // a restart
    life.recover();
    life.append(2, 40);
    platter.capacity = platter.size();  // the disk is full
    while (life.append(1, 70)) {
    }
    if (life.append(2, 70)) return "a full disk took a turn";
    life.checkpoint_and_trim(life.head(), true);
    platter.capacity = SIZE_MAX;
    life.append(3, 70);  // again, with what has come meanwhile
    life.append(1, 10);
    if (!life.violation().empty()) return life.violation();
    life.reset({Epoch{2}, Seq{life.head().seq.value + 20}});  // a snapshot was taken
    for (int i = 0; i < 4; ++i) life.append(1, 50);
    life.reset({Epoch{1}, Seq{3}});  // an older one
    for (int i = 0; i < 4; ++i) life.append(1, 50);
    life.checkpoint_and_trim(life.head());
    life.append(1, 30);
    if (!life.violation().empty()) return life.violation();
  }
  {
    Life life(platter, model, 3);
    life.recover();
    life.append(1, 30);
    if (!life.violation().empty()) return life.violation();
  }
  return cutting_life(platter, model, 10);
}

/// What comes after a crash: recovery, and turns that are other ones than were lost.
std::string recovery(sim::Platter& platter, Model& model, std::uint64_t epoch) {
  {
    Life life(platter, model, epoch);
    life.recover();
    if (!life.violation().empty()) return life.violation();
    life.append(1, 50);
    life.append(2, 60);
    if (model.cuts) life.cut_last(1);
    life.append(1, 5);
    if (!life.violation().empty()) return life.violation();
  }
  Life again(platter, model, epoch);
  again.recover();
  return again.violation();
}

/// Which bytes of what was not synced survive.
struct Fate {
  std::string name;
  std::function<bool(std::size_t index, std::size_t write, std::size_t offset)> kept;
  bool twice = true;  // worth a second crash
};

/// How many fates are tried. Some will do for the part of its life that cuts: turns are torn there as before,
/// and what a cut writes has no segment's name before it is synced.
enum class Detail { all, some, few };

std::vector<Fate> fates(const sim::Platter& platter, Detail detail) {
  std::size_t bytes = 0;
  std::size_t writes = 0;
  std::set<std::size_t> sectors;
  for (const auto& [name, file] : platter.files) {
    writes = std::max(writes, file.unsynced.size());
    for (const auto& write : file.unsynced) {
      bytes += write.bytes.size();
      for (std::size_t i = 0; i < write.bytes.size(); ++i) sectors.insert((write.offset + i) / kSectorBytes);
    }
  }
  std::vector<Fate> found = {{"nothing", [](auto, auto, auto) { return false; }}};
  if (bytes == 0) return found;
  found.push_back({"everything", [](auto, auto, auto) { return true; }});
  const bool all = detail == Detail::all;
  const std::size_t stride = all ? 1 : detail == Detail::some ? 7 : bytes / 2 + 1;
  for (std::size_t i = 1; i < bytes; i += stride) {
    const std::string place = std::to_string(i);
    const bool twice = all && i % 32 == 1;
    found.push_back({"the first " + place, [i](auto index, auto, auto) { return index < i; }, twice});
    found.push_back(
        {"all but the first " + place, [i](auto index, auto, auto) { return index >= i; }, twice});
  }
  if (!all) return found;
  for (const std::size_t s : sectors) {
    const std::string place = std::to_string(s);
    found.push_back({"sector " + place, [s](auto, auto, auto at) { return at / kSectorBytes == s; }});
    found.push_back({"all but sector " + place, [s](auto, auto, auto at) { return at / kSectorBytes != s; }});
  }
  for (std::size_t w = 0; w < writes; ++w) {
    const std::string place = std::to_string(w);
    found.push_back({"write " + place, [w](auto, auto write, auto) { return write == w; }});
    found.push_back({"all but write " + place, [w](auto, auto write, auto) { return write != w; }});
  }
  return found;
}

void crash(sim::Platter& platter, const Fate& fate) {
  std::size_t index = 0;
  // Later than any sync ends: a sync that was begun has finished.
  platter.crash(TimePoint::max(), 1,
                [&](std::size_t write, std::size_t offset) { return fate.kept(index++, write, offset); });
  platter.fails_at_step = UINT64_MAX;
  platter.capacity = SIZE_MAX;
}

class CrashPoints {
 public:
  explicit CrashPoints(bool disk_lies = false) : disk_lies_(disk_lies) {}

  /// The first thing that is wrong, and where; empty when nothing is.
  std::string run() {
    for (std::uint64_t step = 0;; ++step) {
      sim::Platter platter;
      platter.lies = disk_lies_;
      platter.fails_at_step = step;
      Model model;
      try {
        const std::string violation = whole_life(platter, model);
        if (!violation.empty()) return "without a crash: " + violation;
        return {};
      } catch (const sim::PowerLoss&) {
      }
      ++steps;
      for (const Fate& fate : fates(platter, model.cuts ? Detail::some : Detail::all)) {
        const std::string violation = after_crash(platter, model, fate);
        if (!violation.empty()) {
          return "step " + std::to_string(step) + ", kept " + fate.name + ": " + violation;
        }
      }
    }
  }

  std::uint64_t steps = 0;
  std::uint64_t crashes = 0;
  std::uint64_t second_crashes = 0;

 private:
  std::string after_crash(const sim::Platter& broken, const Model& before, const Fate& fate) {
    ++crashes;
    sim::Platter crashed = broken;
    crash(crashed, fate);
    for (std::uint64_t step = 0;; ++step) {
      sim::Platter platter = crashed;
      Model model = before;
      if (fate.twice) platter.fails_at_step = platter.steps + step;
      try {
        return recovery(platter, model, 70);
      } catch (const sim::PowerLoss&) {
      }
      for (const Fate& second : fates(platter, Detail::few)) {
        ++second_crashes;
        sim::Platter twice = platter;
        Model after = model;
        crash(twice, second);
        const std::string violation = recovery(twice, after, 80);
        if (violation.empty()) continue;
        return "again at step " + std::to_string(step) + ", kept " + second.name + ": " + violation;
      }
    }
  }

  bool disk_lies_;
};

TEST(LogCrash, NothingAcknowledgedIsLostAndNothingHalfWrittenAppears) {
  CrashPoints points;
  EXPECT_EQ(points.run(), "");
  std::cout << points.steps << " steps, " << points.crashes << " crashes, " << points.second_crashes
            << " crashes while recovering\n";
  EXPECT_GT(points.steps, 100U);
  EXPECT_GT(points.crashes, 5'000U);
  EXPECT_GT(points.second_crashes, points.crashes);
}

TEST(LogCrash, NoticesADiskThatDoesNotSync) { EXPECT_NE(CrashPoints(true).run(), ""); }

}  // namespace
}  // namespace dkv
