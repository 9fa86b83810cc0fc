// The router actor: one per node, behind every door. It hashes keys, hands a request to the local member
// that it is for, and tells where the rest lives (Errc::moved). A request for one local shard, the common
// case, is handed on whole and answered by the member; one whose keys are spread is split, and its parts'
// results are put together here, in the order they were asked for.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "actors/runtime/actor.hpp"
#include "messages/limits.hpp"

namespace dkv {

class RouterActor : public Actor {
 public:
  /// Of an operator's requests, those that wait for their outcome; past this they are refused as overloaded.
  static constexpr std::size_t kMaxControls = 64;

  RouterActor(Address self, std::size_t max_value_bytes);

  void on_message(Envelope envelope, TimePoint now, Effects& out) override;

 private:
  /// Per shard, what every operation needs to know of it.
  struct Place {
    enum class Local : std::uint8_t { none, primary, replica } local = Local::none;
    std::shared_ptr<const Moved> moved;
  };
  /// A request in parts.
  struct Gathering {
    Origin origin;
    std::uint64_t request_id = 0;
    std::vector<OperationResult> results;
    std::size_t open_parts = 0;
    std::size_t room = kMaxReplyValueBytes;  // for values, of all parts together
    std::shared_ptr<Session> session;        // where it was asked for: what the parts have shown
  };
  struct Part {
    std::uint64_t gathering = 0;
    std::vector<std::size_t> indexes;  // of its operations in the whole request
  };
  struct StatusGathering {
    Origin origin;
    std::uint64_t request_id = 0;
    NodeStatus status;
    std::size_t open_parts = 0;
  };
  /// An operator's request, with the member that it concerns.
  struct Control {
    Origin origin;
    std::uint64_t request_id = 0;
  };

  void handle(TopologyChanged message, Effects& out);
  void handle(ClientRequest message, Effects& out);
  void handle(PartReply message, Effects& out);
  void handle(StatusReport message, Effects& out);
  void handle(RegisterReport message, Effects& out);
  void handle(ControlReport message, Effects& out);
  /// What is for members only never comes here.
  template <class Other>
  void handle(Other, Effects&) {}

  void route(ClientRequest message, Effects& out);
  void route_atomic(ClientRequest message, Effects& out);
  void route_scan(ClientRequest message, Effects& out);
  void split(ClientRequest message, Effects& out);
  void query_status(ClientRequest message, Effects& out);
  void finish_part(std::map<std::uint64_t, StatusGathering>::iterator gathering, Effects& out);
  void control(ClientRequest message, Effects& out);
  std::optional<Error> why_not(const rpc::Control& control) const;
  const Place& place_of(const Operation& operation) const;
  static bool serves(const Place& place, const Operation& operation, ReadMode read);
  Address member(ShardId shard) const { return {self_.node, Role::member, shard}; }
  void reply(Origin origin, rpc::Reply reply, Effects& out);

  Address self_;
  std::size_t max_value_bytes_;
  TopologyPtr topology_;
  std::string encoded_topology_;
  std::map<ShardId, Place> places_;
  std::vector<const Place*> place_of_slot_;
  std::vector<ShardId> local_shards_;
  std::map<std::uint64_t, Gathering> gatherings_;
  std::map<std::uint64_t, Part> parts_;
  std::map<std::uint64_t, StatusGathering> status_gatherings_;
  std::map<std::uint64_t, Control> controls_;
  std::uint64_t next_token_ = 1;
};

}  // namespace dkv
