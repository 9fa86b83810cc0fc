#include "actors/runtime/message.hpp"

#include <array>
#include <tuple>

namespace dkv {

namespace {

const char* name_of(Role role) {
  switch (role) {
    case Role::router:
      return "router";
    case Role::member:
      return "member";
    case Role::log:
      return "log";
    case Role::checkpoint:
      return "checkpoint";
    case Role::keeper:
      return "keeper";
    case Role::registrar:
      return "registrar";
    case Role::watcher:
      return "watcher";
    case Role::client:
      return "client";
  }
  return "unknown";
}

// In the order of the variant's alternatives.
constexpr std::array<const char*, std::variant_size_v<AnyMessage>> kNames = {
    "TopologyChanged",   "ClientRequest",    "ClientReply",      "PartRequest",       "PartReply",
    "StatusQuery",       "StatusReport",     "EventFrame",       "ReplicaAck",        "PullRequest",
    "PullReply",         "SnapshotRequest",  "SnapshotReply",    "OpenLog",           "LogRecovered",
    "ContinueRecovery",  "LogOpened",        "ResetLog",         "AppendFrame",       "Durable",
    "TrimLog",           "ReadLog",          "LogRead",          "LogReadFailed",     "LogBlocked",
    "LogFailed",         "CutLog",           "ReadEpochs",       "LogEpochs",         "WriteCheckpoint",
    "CheckpointWritten", "DiscardMemtable",  "CheckpointFailed", "BeginImport",       "ImportBegun",
    "ImportRecords",     "RecordsImported",  "ImportFailed",     "RegisterPrepare",   "RegisterPromise",
    "RegisterAccept",    "RegisterAccepted", "RegisterNack",     "RegisterPoll",      "RegisterState",
    "RegisterChosen",    "Heartbeat",        "LeaseGrant",       "ProposeChange",     "ChangeSettled",
    "ReadRegister",      "RegisterRead",     "RegisterReach",    "TopologyChosen",    "HandOver",
    "ForcePromotion",    "ControlReport",    "RegisterReport",   "ChangesRequest",    "ChangesReply",
    "OpenWatch",         "CloseWatch",       "WatchTaken",       "WatchSubscription", "WatchNews",
    "WatchBroadcast"};
static_assert(kNames.back() != nullptr, "a message without a name");

}  // namespace

std::string to_string(const Address& address) {
  std::string text = "node " + std::to_string(address.node.value) + " " + name_of(address.role);
  if (address.shard != ShardId{}) text += " of shard " + std::to_string(address.shard.value);
  return text;
}

const char* name_of(const Message& message) { return kNames[message.index()]; }

Message::Message() = default;
Message::Message(const Message&) = default;
Message::Message(Message&&) noexcept = default;
Message& Message::operator=(const Message&) = default;
Message& Message::operator=(Message&&) noexcept = default;
Message::~Message() = default;

template <class Kind>
void Message::set(Kind&& message) {
  emplace<Kind>(std::move(message));
}

/// Has set() compiled here for each of them.
template <class Variant>
struct SettersOf;
template <class... Kinds>
struct SettersOf<std::variant<Kinds...>> {
  static constexpr std::tuple<void (Message::*)(Kinds&&)...> kAll{&Message::set<Kinds>...};
};
template struct SettersOf<AnyMessage>;

}  // namespace dkv
