// The batches that a client has under way, in the order of their deadlines. A look-up is one step, and a new
// batch takes an ended one's memory: with a thousand callers each of whom asks one thing at a time, that is
// what a client spends its time on.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "gateway/client/options.hpp"
#include "gateway/client/transport.hpp"

namespace dkv::client {

/// What submit() was given.
struct Batch {
  std::string storage;  // the bytes of keys and values
  std::vector<Operation> operations;
  std::vector<OperationResult> results;  // of an unfinished operation: why its last try failed
  std::vector<bool> finished;
  std::size_t unfinished = 0;
  ReadMode read = ReadMode::linearizable;
  AckMode ack = AckMode::committed;
  bool atomic = false;                // all or nothing: always sent as a whole, in a frame of its own
  std::size_t value_room = SIZE_MAX;  // for what gets find
  Time deadline;
  OnceId once;                   // its writes may be sent again; an atomic batch's name
  std::vector<bool> unanswered;  // of those: was sent without an answer, and may have been done
  std::shared_ptr<Session> session;
  std::vector<std::uint32_t> order;  // places of operations, share by share; each try adds its own
  std::uint32_t setbacks = 0;        // so far: the pause grows with them
  std::uint32_t moves = 0;
  std::vector<std::uint64_t> flights;  // that it was sent in; the answered ones too

  // The table's own.
  Ticket ticket;
  Batch* older = nullptr;
  Batch* younger = nullptr;
};

class BatchTable {
 public:
  BatchTable() = default;
  BatchTable(const BatchTable&) = delete;
  BatchTable& operator=(const BatchTable&) = delete;

  /// A new one, or an ended one as it was then: all but its ticket is to be set. Stays where it is until
  /// end().
  Batch& begin();
  void end(Batch& batch);
  /// nullptr when it has ended.
  Batch* find(Ticket ticket);
  bool contains(Ticket ticket) const;
  /// nullptr when there is none.
  Batch* oldest() const { return oldest_; }
  bool empty() const { return oldest_ == nullptr; }
  std::size_t size() const { return slots_.size() - free_.size(); }
  /// No more can begin.
  bool is_full() const { return size() == std::size_t{1} << kSlotBits; }

 private:
  /// A ticket says which slot its batch is in, below how many were begun before it.
  static constexpr unsigned kSlotBits = 24;
  static std::size_t slot_of(Ticket ticket) { return ticket.value & ((1U << kSlotBits) - 1); }

  std::deque<Batch> slots_;
  std::vector<std::uint32_t> free_;  // of them
  std::uint64_t begun_ = 0;
  Batch* oldest_ = nullptr;
  Batch* youngest_ = nullptr;
};

}  // namespace dkv::client
