// Where a message goes: an actor's place in the cluster. Stable over restarts.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "messages/ids.hpp"

namespace dkv {

enum class Role : std::uint8_t {
  router,      ///< one per node: finds the member that a request is for
  member,      ///< one per node and shard placed on it: its shard actor or its replica actor
  log,         ///< beside each member: makes frames durable, reads them back
  checkpoint,  ///< beside each member: writes frozen memtables to the store
  keeper,      ///< on a keeper's node: an acceptor of the register
  registrar,   ///< one per node: proposes changes to the register, learns what it holds
  watcher,     ///< one per node: follows what is committed, for those who watch through this node
  client,      ///< not an actor: whoever asked through a door of this node
};

struct Address {
  NodeId node;
  Role role = Role::router;
  ShardId shard;  // zero but for member, log and checkpoint
  auto operator<=>(const Address&) const = default;
};

std::string to_string(const Address& address);

}  // namespace dkv
