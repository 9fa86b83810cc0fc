#include "tests/gateway/client/fake_node.hpp"

#include <future>
#include <zmq.hpp>

#include "topology/codec.hpp"

namespace dkv::test {

FakeNode::FakeNode() : endpoint_("127.0.0.1:*") { start(); }

FakeNode::~FakeNode() { stop(); }

void FakeNode::start() {
  std::promise<std::string> bound;
  auto future = bound.get_future();
  stopping_ = false;
  thread_ = std::thread([this, promise = std::move(bound), bind_to = "tcp://" + endpoint_]() mutable {
    run(bind_to, [&](std::string endpoint) { promise.set_value(std::move(endpoint)); });
  });
  endpoint_ = future.get().substr(std::string("tcp://").size());
}

void FakeNode::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void FakeNode::set_script(Script script) {
  const std::lock_guard lock(mutex_);
  script_ = std::move(script);
}

void FakeNode::set_topology(const Topology& topology) {
  const std::lock_guard lock(mutex_);
  topology_ = encode(topology);
  topology_version_ = topology.version;
}

void FakeNode::run(std::string bind_to, std::function<void(std::string)> bound) {
  zmq::context_t context(1);
  zmq::socket_t socket(context, zmq::socket_type::router);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::rcvtimeo, 10);
  socket.bind(bind_to);
  bound(socket.get(zmq::sockopt::last_endpoint));
  while (!stopping_) {
    zmq::message_t from;
    zmq::message_t frame;
    if (!socket.recv(from) || !socket.recv(frame)) continue;
    std::uint64_t id = 0;
    const auto request = rpc::decode_request(frame.to_string_view(), id);
    if (!request) continue;
    Script script;
    rpc::Reply topology{id, rpc::TopologyReply{}};
    {
      const std::lock_guard lock(mutex_);
      script = script_;
      topology.body = rpc::TopologyReply{topology_version_, topology_};
    }
    std::vector<std::string> replies;
    if (request->type == rpc::Type::topology) {
      replies.push_back(rpc::encode(topology));
    } else {
      ++requests_;
      replies = script ? script(*request) : std::vector<std::string>{answer(*request)};
    }
    for (const std::string& reply : replies) {
      zmq::message_t to;
      to.copy(from);
      socket.send(to, zmq::send_flags::sndmore);
      socket.send(zmq::const_buffer(reply.data(), reply.size()), zmq::send_flags::none);
    }
  }
}

std::string FakeNode::answer(const rpc::Request& request) {
  if (request.type == rpc::Type::status) {
    return rpc::encode(rpc::Reply{request.request_id, NodeStatus{"a", "0.1.0", 1, 0, true, false, {}, {}}});
  }
  std::vector<OperationResult> results;
  for (const Operation& operation : request.operations) {
    const std::string key(operation.key);
    const auto found = records_.find(key);
    OperationResult result;
    result.version = {Epoch{1}, Seq{++seq_}};
    if (operation.code == OpCode::put) {
      result.created = operation.report_created && found == records_.end();
      records_[key] = operation.value;
    } else if (found == records_.end()) {
      result = OperationResult::failed(Errc::not_found, "no such key");
    } else if (operation.code == OpCode::get) {
      result.value = found->second;
    } else {
      records_.erase(found);
    }
    results.push_back(std::move(result));
  }
  return rpc::encode(rpc::Reply{request.request_id, std::move(results)});
}

Topology topology_of(const std::vector<const FakeNode*>& nodes, std::uint64_t version, bool with_replicas) {
  Topology topology;
  topology.version = version;
  topology.change = version == 1 ? 0 : version;
  topology.id = 4711;
  topology.name = "test";
  const auto count = static_cast<std::uint32_t>(nodes.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string name(1, static_cast<char>('a' + i));
    const std::string host = "127.0.1." + std::to_string(i + 1) + ":";
    topology.nodes.push_back({NodeId{i + 1}, name, host + "8080", nodes[i]->endpoint(), host + "7002",
                              host + "7003", host + "7004"});
    ShardInfo shard{ShardId{i + 1}, name, 1, NodeId{i + 1}, {}, {}};
    if (with_replicas) shard.replicas.push_back(NodeId{(i + 1) % count + 1});
    topology.shards.push_back(shard);
  }
  topology.keepers = {{NodeId{1}, version == 1 ? 0U : 4712U}};
  for (std::uint32_t slot = 0; slot < kSlotCount; ++slot) {
    topology.slots[slot] = ShardId{static_cast<std::uint32_t>(slot * count / kSlotCount) + 1};
  }
  return topology;
}

std::string key_of_shard(std::size_t shard, std::size_t shards) {
  for (int i = 0;; ++i) {
    std::string key = "key-" + std::to_string(i);
    if (slot_of(key).value * shards / kSlotCount == shard) return key;
  }
}

std::string refuse_all(const rpc::Request& request, Errc code) {
  std::vector<OperationResult> results(request.operations.size(), OperationResult::failed(code, "by script"));
  return rpc::encode(rpc::Reply{request.request_id, std::move(results)});
}

std::string move_all(const rpc::Request& request, const FakeNode& to, std::uint64_t topology_version) {
  OperationResult result;
  result.code = Errc::moved;
  result.moved = std::make_shared<const Moved>(
      Moved{ShardId{1}, "a", "a", to.endpoint(), "127.0.1.1:8080", topology_version});
  std::vector<OperationResult> results(request.operations.size(), result);
  return rpc::encode(rpc::Reply{request.request_id, std::move(results)});
}

}  // namespace dkv::test
