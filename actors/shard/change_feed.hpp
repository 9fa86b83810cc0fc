// What a primary tells watchers: its committed frames (R17), to each from the position that it asks about. A
// question waits until there is something to tell, for a second at most, and each answer holds all that has
// been committed since, so that it costs no more than one answer a turn to each watching node, and nothing
// while nobody watches. The newest frames are kept in memory while somebody asks; what lies before them comes
// from the log.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "actors/runtime/actor.hpp"

namespace dkv {

class ChangeFeed {
 public:
  /// The first frame that is committed() will follow `end`.
  /// At most so many bytes of frames are kept in memory, or one frame.
  ChangeFeed(Address self, std::size_t max_recent_bytes, Position end)
      : self_(self), max_recent_bytes_(max_recent_bytes), recent_end_(end) {}

  /// `from` asks. The same question again, by whatever number, is no second one: it has one answer, to the
  /// last number. Refused past the limit.
  void ask(const Address& from, peer::ChangesRequest request, TimePoint now, Effects& out);
  /// In the history's order, without a gap between two: `frame`, which ends at `last`, is committed.
  void committed(const FrameBytes& frame, Position last);
  /// At the end of a turn of a primary that serves, whose newest committed event is `at`, which ends a frame:
  /// answers what can be answered, or has the log read for it. `next_token` is the member's.
  void answer(Position at, TimePoint now, std::uint64_t& next_token, Effects& out);
  /// What the log read. False: not for this.
  bool take(LogRead& message, Position committed, Effects& out);
  bool take(const LogReadFailed& message, Position committed, Effects& out);
  /// Refuses all.
  void refuse_all(Effects& out);
  /// When a question has waited long enough.
  TimePoint wake_at() const;

  static peer::ChangesReply answer_to(const peer::ChangesRequest& request, peer::PullOutcome outcome);

 private:
  struct Question {
    Address from;
    peer::ChangesRequest request;
    TimePoint until;
  };
  struct Recent {
    Position prev;
    Position last;
    FrameBytes bytes;
  };

  bool answer_now(const Question& question, Position at, TimePoint now, Effects& out) const;
  std::size_t find_recent(Position from) const;

  Address self_;
  std::size_t max_recent_bytes_;
  std::vector<Question> waiting_;              // for something to happen
  std::map<std::uint64_t, Question> reading_;  // the log, by token
  TimePoint wanted_until_{};
  bool wanted_ = false;
  std::deque<Recent> recent_;  // one after the other, up to the newest committed frame
  std::size_t recent_bytes_ = 0;
  Position recent_end_;
};

}  // namespace dkv
