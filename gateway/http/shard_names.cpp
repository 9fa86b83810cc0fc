#include "gateway/http/shard_names.hpp"

#include "topology/codec.hpp"

namespace dkv::http {

namespace {
constexpr std::chrono::seconds kFetchEvery{1};
/// Nobody's answer waits longer than this for a header.
constexpr std::chrono::milliseconds kFetchTimeout{200};
}  // namespace

std::string ShardNames::of(std::string_view key) {
  const auto topology = current();
  if (!topology) return "";
  const auto* shard = topology->find_shard(topology->slots[slot_of(key).value]);
  return shard ? shard->name : "";
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

void ShardNames::refresh() {
  rpc::Request request;
  request.type = rpc::Type::topology;
  const auto reply = backend_.call(std::move(request), kFetchTimeout);
  const auto* fetched = std::get_if<rpc::TopologyReply>(&reply.body);
  std::unique_lock lock(mutex_);
  const bool is_new = fetched && (!topology_ || topology_->version != fetched->version);
  lock.unlock();
  TopologyPtr decoded;
  if (is_new) {
    if (auto topology = decode_topology(fetched->encoded)) {
      decoded = std::make_shared<const Topology>(std::move(*topology));
    }
  }
  lock.lock();
  if (decoded) topology_ = std::move(decoded);
  fetch_at_ = Clock::now() + kFetchEvery;
  fetching_ = false;
}

}  // namespace dkv::http
