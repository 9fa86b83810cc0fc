// What a Client is made with, and what it hands out.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "messages/once.hpp"
#include "messages/operation.hpp"
#include "messages/session.hpp"

namespace dkv {

struct ClientOptions {
  /// rpc endpoints, "host:port", of nodes to ask first. One that lives is enough.
  std::vector<std::string> seeds;
  /// Of each call or submitted batch: it ends by then, with whatever is known.
  std::chrono::milliseconds deadline{5000};
  /// When a write's answer may leave.
  AckMode ack = AckMode::committed;
  /// Each write has a name of its own, by which it is done once however often it is sent: one that is not
  /// answered is sent again until its deadline, where it would have ended as unknown_outcome. It costs the
  /// node a second, short record, which is kept for ten minutes.
  /// Atomic batches that hold gets have no name.
  bool exactly_once = false;
  /// Frames on their way at once; submit() waits while there are more.
  std::size_t max_in_flight = 4096;
};

/// How one batch is to be carried out.
struct CallOptions {
  CallOptions(ReadMode reads = ReadMode::linearizable) : read(reads) {}
  ReadMode read;
  std::optional<AckMode> ack;  // of its writes; the client's where it is not given
  /// Of what its gets find, together; further ones are too_large. An atomic batch's fit into one reply
  /// anyway.
  std::size_t most_value_bytes = SIZE_MAX;
  /// A name of the caller's for the writes, OnceId::of("order-17") say: whoever sends the same batch by it
  /// again within ten minutes, from another process too, is told the first outcome. Operation i has its
  /// number + i; an atomic batch, which then holds no gets, has one.
  OnceId once{};
  /// What replicas must have come to before they answer; goes up to what this batch's answers have shown.
  std::shared_ptr<Session> session{};
};

/// Names a batch that submit() started.
struct Ticket {
  std::uint64_t value = 0;
  auto operator<=>(const Ticket&) const = default;
};

struct Completion {
  Ticket ticket;
  std::vector<OperationResult> results;  // one per operation of the batch, in its order
};

}  // namespace dkv
