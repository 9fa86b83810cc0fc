#include "gateway/http/shard_names.hpp"

#include "topology/codec.hpp"

namespace dkv::http {

namespace {
constexpr std::chrono::seconds kFetchEvery{1};
/// Nobody's answer waits longer than this for a header.
constexpr std::chrono::milliseconds kFetchTimeout{200};

std::optional<Moved> owner_in(const TopologyPtr& topology, std::string_view key) {
  const auto* shard = topology ? topology->find_shard(topology->slots[slot_of(key).value]) : nullptr;
  const auto* node = shard ? topology->find_node(shard->primary) : nullptr;
  if (!node) return std::nullopt;
  return Moved{shard->id, shard->name, node->name, node->rpc, node->http, topology->version};
}
}  // namespace

std::string ShardNames::of(std::string_view key) {
  const auto topology = current();
  if (!topology) return "";
  const auto* shard = topology->find_shard(topology->slots[slot_of(key).value]);
  return shard ? shard->name : "";
}

std::optional<Moved> ShardNames::owner_elsewhere(std::string_view key, std::string_view node_name) {
  auto owner = owner_in(current(), key);
  if (!owner || owner->node_name == node_name) return std::nullopt;
  owner = owner_in(refresh(), key);
  if (!owner || owner->node_name == node_name) return std::nullopt;
  return owner;
}

void ShardNames::saw_version(std::uint64_t version) {
  const std::lock_guard lock(mutex_);
  if (topology_ && topology_->version < version) fetch_at_ = {};
}

TopologyPtr ShardNames::current() {
  {
    const std::lock_guard lock(mutex_);
    if (fetching_ || Clock::now() < fetch_at_) return topology_;
    fetching_ = true;  // one caller fetches, the others go on with what there is
  }
  refresh();
  const std::lock_guard lock(mutex_);
  return topology_;
}

/// What the backend has now; nullptr when it does not say.
TopologyPtr ShardNames::refresh() {
  rpc::Request request;
  request.type = rpc::Type::topology;
  const auto reply = backend_.call(std::move(request), kFetchTimeout);
  const auto* fetched = std::get_if<rpc::TopologyReply>(&reply.body);
  std::unique_lock lock(mutex_);
  TopologyPtr now = fetched && topology_ && topology_->version == fetched->version ? topology_ : nullptr;
  lock.unlock();
  if (fetched && !now) {
    if (auto decoded = decode_topology(fetched->encoded)) {
      now = std::make_shared<const Topology>(std::move(*decoded));
    }
  }
  lock.lock();
  if (now) topology_ = now;
  fetch_at_ = Clock::now() + kFetchEvery;
  fetching_ = false;
  return now;
}

}  // namespace dkv::http
