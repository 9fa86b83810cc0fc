#include "gateway/node/node.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

#include "actors/assembly.hpp"
#include "actors/runtime/posix_disk.hpp"
#include "actors/runtime/zmq/shared.hpp"
#include "actors/runtime/zmq_world.hpp"
#include "actors/shard/lmdb_store.hpp"
#include "gateway/http/server.hpp"
#include "gateway/node/client_pool.hpp"
#include "gateway/node/data_folder.hpp"
#include "topology/endpoint.hpp"

namespace dkv {

namespace {

/// For the status that has_failed() asks for; a node that is busy for so long has not failed.
constexpr std::chrono::milliseconds kStatusTimeout{1'000};

/// Clients that requests for other nodes' keys share.
constexpr std::size_t kMostClients = 16;

/// This node first, then all others.
ClientOptions client_options(const Topology& topology, const NodeInfo& self) {
  ClientOptions options;
  options.seeds.push_back(self.rpc);
  for (const NodeInfo& node : topology.nodes) {
    if (node.id != self.id) options.seeds.push_back(node.rpc);
  }
  return options;
}

/// The HTTP server's way to the router, and to the cluster.
class NodeBackend final : public Backend {
 public:
  NodeBackend(ZmqWorld& world, ClientOptions options)
      : world_(world), clients_(std::move(options), kMostClients, kMaxReplyValueBytes) {}
  rpc::Reply call(rpc::Request request, std::chrono::milliseconds timeout) override {
    return world_.call(std::move(request), timeout);
  }
  std::vector<OperationResult> execute(const rpc::Request& request,
                                       std::shared_ptr<Session> session) override {
    return clients_.execute(request, std::move(session));
  }
  Result<ScanResult> scan(const ScanOptions& options) override { return clients_.scan(options); }
  void stop() { clients_.stop(); }
  void tell_watcher(WatchCommand command) override {
    std::visit([&](auto& one) { world_.tell_watcher(std::move(one)); }, command);
  }

 private:
  ZmqWorld& world_;
  ClientPool clients_;
};

Result<MemberStorage> open_storage(const DataFolder& data, const ShardInfo& shard) {
  auto folder = data.shard_folder(shard.name);
  if (!folder) return folder.error();
  auto store = LmdbStore::open(folder->store, shard.id);
  if (!store) return store.error();
  return MemberStorage{std::make_unique<PosixDisk>(folder->log), std::move(*store), folder->incarnation};
}

Result<std::unique_ptr<Disk>> open_keeper(const DataFolder& data) {
  auto folder = data.keeper_folder();
  if (!folder) return folder.error();
  return std::unique_ptr<Disk>(std::make_unique<PosixDisk>(std::move(*folder)));
}

HttpServerOptions http_options(const NodeInfo& self, const NodeOptions& limits) {
  const auto endpoint = parse_endpoint(self.http);
  DKV_ASSERT(endpoint);  // the topology was checked
  HttpServerOptions options;
  options.host = endpoint->host;
  options.port = endpoint->port;
  options.node_name = self.name;
  options.max_value_bytes = limits.shard.max_value_bytes;
  return options;
}

}  // namespace

class Node::Impl {
 public:
  Impl(const NodeSetup& setup, DataFolder data)
      : setup_(setup),
        self_(*setup.topology->find_node(setup.name)),
        data_(std::move(data)),
        world_({.self = self_.id,
                .topology = setup.topology,
                .log = setup.log,
                .on_news = [this](const WatchNews& news) { tell(news); }}),
        backend_(world_, client_options(*setup.topology, self_)) {}

  Result<void> start() {
    if (auto spawned = spawn(); !spawned) return spawned;
    if (auto started = world_.start(); !started) return started;
    http_.emplace(http_options(self_, setup_.limits), backend_);
    return http_->start();
  }

  void stop() {
    if (!failed_) data_.forget_crashes();
    // The world after HTTP, so that what came in through HTTP is still answered.
    backend_.stop();
    if (http_) http_->stop();
    world_.stop();
    http_.reset();
  }

  bool has_failed() {
    if (!lasts_ && std::chrono::steady_clock::now() - started_ >= kSteadyTime) {
      lasts_ = true;
      data_.forget_crashes();
    }
    rpc::Request request;
    request.type = rpc::Type::status;
    const rpc::Reply reply = world_.call(std::move(request), kStatusTimeout);
    const auto* status = std::get_if<NodeStatus>(&reply.body);
    if (status == nullptr || status->members.empty()) return false;
    failed_ = std::all_of(status->members.begin(), status->members.end(),
                          [](const MemberStatus& member) { return member.state == "failed"; });
    return failed_;
  }

  std::string description() const {
    std::string copies;
    for (const ShardInfo& shard : setup_.topology->shards) {
      if (is_member(shard, self_.id)) copies += (copies.empty() ? "; copies of " : ", ") + shard.name;
    }
    return "http://" + self_.http + " (node " + self_.name + copies + "; rpc " + self_.rpc + ")";
  }

 private:
  /// Only those of the HTTP server watch, and it lives as long as the world runs.
  void tell(const WatchNews& news) {
    if (http_) http_->tell(news);
  }

  Result<void> spawn() {
    NodeOptions options = setup_.limits;
    options.process = random_number();
    options.timing = timing_of(setup_.topology->failover);
    // Once: a clock that is set while the node runs moves no record's end.
    options.copy.clock_offset =
        std::chrono::system_clock::now().time_since_epoch() - runtime::boot_now().time_since_epoch();
    options.crash_loop = data_.crashes() >= kCrashLoop;
    if (options.crash_loop) {
      setup_.log(LogLevel::warning, std::to_string(data_.crashes()) +
                                        " processes in a row of this node have crashed within a minute of "
                                        "their start: another may lead its shards first");
    }
    auto actors = assemble_node(
        *setup_.topology, self_.id, options,
        [this](const ShardInfo& shard) { return open_storage(data_, shard); },
        [this] { return open_keeper(data_); });
    if (!actors) return actors.error();
    for (PlacedActor& one : *actors) world_.spawn(one.thread, one.address, std::move(one.actor));
    return {};
  }

  // In this order: whoever comes later uses what comes before.
  NodeSetup setup_;
  NodeInfo self_;
  DataFolder data_;
  ZmqWorld world_;
  NodeBackend backend_;
  std::optional<HttpServer> http_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  bool lasts_ = false;
  bool failed_ = false;
};

std::unique_ptr<Node> Node::start(const NodeSetup& setup, Failure& failure) {
  auto data = DataFolder::take(setup.data, setup.name, setup.topology->id);
  if (!data) {
    failure = {data.error(), true};
    return nullptr;
  }
  std::unique_ptr<Node> node(new Node(std::make_unique<Impl>(setup, std::move(*data))));
  if (auto started = node->impl_->start(); !started) {
    failure = {started.error(), false};
    return nullptr;
  }
  return node;
}

Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Node::~Node() { impl_->stop(); }
bool Node::has_failed() { return impl_->has_failed(); }
std::string Node::description() const { return impl_->description(); }

}  // namespace dkv
