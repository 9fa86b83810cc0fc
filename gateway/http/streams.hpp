// Event streams: connections that have been handed over for good to a watch. They hold no worker: what they
// are told is written by whoever tells it, as far as the client takes it, and the rest by one thread (epoll)
// when it does. Who takes nothing is told no more (see actors/watch/README.md: its output is bounded by
// that), and who has taken nothing for half a minute is cut; it can go on from its last event's id.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "gateway/http/connection.hpp"
#include "gateway/http/watch.hpp"

namespace dkv::http {

class Streams {
 public:
  /// Takes what the node's watcher is to be told, from any thread.
  using TellWatcher = std::function<void(WatchCommand)>;

  /// What clients have not taken yet may be so much for all of them: past it, those who wait are cut as they
  /// are told more. Throws std::system_error when the system has no descriptors left.
  Streams(Shared& shared, std::size_t max_pending_bytes, TellWatcher tell_watcher);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  /// Throws std::system_error when the system has no threads left.
  void start();
  /// Any thread. A connection that has sent the head of a stream, and knows what it watches. After stop() it
  /// is closed instead.
  void add(ConnectionPtr connection);
  /// The watcher's thread: never waits.
  void tell(const WatchNews& news);
  /// Ends the thread and closes all. Idempotent.
  void stop();

 private:
  struct Stream {
    ConnectionPtr connection;
    bool keys_only = false;
    bool opened = false;
    ShardPositions at;  // what has been told, up to here
    std::string output;
    std::size_t written = 0;    // of output
    std::uint64_t untaken = 0;  // as the watcher counts
    Clock::time_point moved;    // when output began to wait, or some was taken, last
    bool waits = false;         // for the client to take output
  };
  using Map = std::unordered_map<std::uint64_t, Stream>;

  void run();
  void append(Stream& stream, std::string_view lines) const;
  void append_events(Stream& stream, const WatchNews& news);
  const std::string& data_of(const WatchNews& news, const WatchedEvent& event, bool keys_only);
  bool flush(std::uint64_t number, Stream& stream);
  void want_output(std::uint64_t number, Stream& stream, bool wanted);
  bool is_stuck(const Stream& stream) const;
  void end(Map::iterator stream);

  Shared& shared_;
  const std::size_t max_pending_bytes_;
  const TellWatcher tell_watcher_;
  int epoll_ = -1;
  int interrupter_ = -1;  // an eventfd

  std::mutex mutex_;
  bool stopped_ = false;
  std::uint64_t last_number_ = 0;
  Map streams_;
  std::size_t pending_ = 0;  // of all outputs
  // Lines of events that many may be told of: those of one answer of a primary.
  std::weak_ptr<const std::string> formatted_for_;
  std::unordered_map<std::uint64_t, std::string> formatted_;  // by seq, and whether keys only
  std::thread thread_;
};

}  // namespace dkv::http
