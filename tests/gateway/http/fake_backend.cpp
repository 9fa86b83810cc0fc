#include "tests/gateway/http/fake_backend.hpp"

#include <stdexcept>

#include "topology/codec.hpp"

namespace dkv::testing {

Topology two_shards() {
  Topology topology;
  topology.version = 3;
  topology.change = 1;
  topology.id = 0x00f0'0000'0000'0077;  // more than a double holds
  topology.name = "test";
  std::uint32_t id = 1;
  for (const std::string name : {"delhi", "mumbai"}) {
    const std::string host = "127.0.0." + std::to_string(id + 1);
    topology.nodes.push_back(
        {NodeId{id}, name, host + ":8080", host + ":7001", host + ":7002", host + ":7003", host + ":7004"});
    topology.shards.push_back({ShardId{id}, name, 1, NodeId{id}, {}, {}});
    ++id;
  }
  topology.keepers = {{NodeId{1}, 4712, 1}};
  for (std::size_t slot = 0; slot < kSlotCount; ++slot) topology.slots[slot] = ShardId{slot < 8192 ? 1u : 2u};
  return topology;
}

std::string key_of_shard(std::string_view shard_name, const std::string& stem) {
  const auto topology = two_shards();
  const auto shard = topology.find_shard(shard_name)->id;
  for (int i = 0;; ++i) {
    const auto key = stem + std::to_string(i);
    if (topology.slots[slot_of(key).value] == shard) return key;
  }
}

rpc::Reply FakeBackend::call(rpc::Request request, std::chrono::milliseconds) {
  if (throws) throw std::runtime_error("a secret of the inside");
  if (refuses_all) return {0, *refuses_all};
  if (request.type == rpc::Type::status) return {0, status};
  if (request.type == rpc::Type::topology) {
    const std::lock_guard lock(mutex_);
    ++topology_fetches_;
    return {0, rpc::TopologyReply{topology.version, encode(topology)}};
  }
  std::unique_lock lock(mutex_);
  ++waiting_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !held_; });
  --waiting_;
  std::vector<OperationResult> results;
  for (const auto& operation : request.operations) results.push_back(perform(operation));
  last_ = request;
  if (!request.session) return {0, std::move(results)};
  last_.session = std::make_shared<const Session>(*request.session);
  return {0, std::move(results), std::make_shared<const Session>(shows)};
}

std::vector<OperationResult> FakeBackend::execute(const rpc::Request& request,
                                                  std::shared_ptr<Session> session) {
  const std::lock_guard lock(mutex_);
  last_ = request;
  if (session) {
    last_.session = std::make_shared<const Session>(*session);
    session->take(shows);
  }
  std::vector<OperationResult> results;
  for (const auto& operation : request.operations) {
    ++operations_;
    results.push_back(answers_all ? *answers_all : perform_here(operation));
  }
  return results;
}

Result<ScanResult> FakeBackend::scan(const ScanOptions& options) {
  last_scan = options;
  if (options.session) {
    last_scan.session = std::make_shared<Session>(*options.session);
    options.session->take(shows);
  }
  if (refuses_all) return *refuses_all;
  return page;
}

OperationResult FakeBackend::perform(const Operation& operation) {
  ++operations_;
  if (answers_all) return *answers_all;
  if (two_shards().slots[slot_of(operation.key).value] != ShardId{1}) return moved(operation.key);
  return perform_here(operation);
}

OperationResult FakeBackend::perform_here(const Operation& operation) {
  const std::string key(operation.key);
  const auto found = records_.find(key);
  OperationResult result;
  if (operation.code == OpCode::put) {
    result.created = operation.report_created && found == records_.end();
    result.version = {Epoch{4}, Seq{++seq_}};
    records_[key] = {std::string(operation.value), result.version};
    return result;
  }
  if (found == records_.end()) return OperationResult::failed(Errc::not_found, "no such key");
  result.version = found->second.version;
  if (operation.code == OpCode::get) result.value = found->second.value;
  if (operation.code == OpCode::remove) records_.erase(found);
  return result;
}

OperationResult FakeBackend::moved(std::string_view) const {
  auto result = OperationResult::failed(Errc::moved, "elsewhere");
  result.moved = std::make_shared<const Moved>(
      Moved{ShardId{2}, "mumbai", moves_to_node, "127.0.0.3:7001", "127.0.0.3:8080", 3});
  return result;
}

void FakeBackend::hold() {
  const std::lock_guard lock(mutex_);
  held_ = true;
}

void FakeBackend::release() {
  const std::lock_guard lock(mutex_);
  held_ = false;
  changed_.notify_all();
}

void FakeBackend::await_held(int count) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return waiting_ >= count; });
}

std::size_t FakeBackend::operations() const {
  const std::lock_guard lock(mutex_);
  return operations_;
}

std::size_t FakeBackend::topology_fetches() const {
  const std::lock_guard lock(mutex_);
  return topology_fetches_;
}

std::map<std::string, std::string> FakeBackend::records() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> values;
  for (const auto& [key, record] : records_) values[key] = record.value;
  return values;
}

rpc::Request FakeBackend::last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

void FakeBackend::tell_watcher(WatchCommand command) {
  const std::lock_guard lock(mutex_);
  commands_.push_back(std::move(command));
  changed_.notify_all();
}

WatchCommand FakeBackend::next_command() {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, std::chrono::seconds(10), [this] { return !commands_.empty(); })) return {};
  WatchCommand command = std::move(commands_.front());
  commands_.pop_front();
  return command;
}

}  // namespace dkv::testing
