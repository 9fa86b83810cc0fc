// Replies of members and routers, to whoever asked.
#pragma once

#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "actors/runtime/actor.hpp"
#include "messages/rpc.hpp"

namespace dkv {

/// Whom a member's reply goes to: a client, or the router that put a request together from parts.
using Asker = std::variant<Origin, std::uint64_t>;

inline void send_reply(NodeId node, Asker asker, rpc::Reply reply, Effects& out) {
  if (auto* origin = std::get_if<Origin>(&asker)) {
    out.send({node, Role::client, {}}, ClientReply{std::move(*origin), std::move(reply)});
  } else {
    out.send({node, Role::router, {}}, PartReply{std::get<std::uint64_t>(asker), std::move(reply)});
  }
}

/// Of a page, or of operations that all are: another node's.
inline rpc::Reply moved_reply(const rpc::Request& request, std::shared_ptr<const Moved> moved) {
  if (request.type == rpc::Type::scan) {
    rpc::ScanReply page;
    page.moved = std::move(moved);
    return {request.request_id, std::move(page)};
  }
  OperationResult result;
  result.code = Errc::moved;
  result.moved = std::move(moved);
  return {request.request_id, std::vector<OperationResult>(request.operations.size(), result)};
}

}  // namespace dkv
