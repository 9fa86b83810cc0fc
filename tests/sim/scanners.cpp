#include "tests/sim/scanners.hpp"

#include <utility>

#include "tests/linearizability/explain.hpp"

namespace dkv::sim {

namespace {

constexpr Duration kPageTimeout = 900ms;
constexpr std::uint64_t kReplicaScansPerMillion = 250'000;
constexpr std::uint64_t kNarrowScansPerMillion = 250'000;
constexpr std::uint64_t kKeysOnlyPerMillion = 250'000;

/// What a page says something about: from where it was asked for to where it ended.
KeyRange covered_by(const rpc::ScanReply& page, const rpc::Scan& scan) {
  const std::string& end = page.ended ? scan.to : page.next;
  return scan.down ? KeyRange{end, scan.from} : KeyRange{scan.from, end};
}

/// Empty, or how a page is not what was asked for. What it covers must be within what was, and less must be
/// left.
std::string problem_of_shape(const rpc::ScanReply& page, const rpc::Scan& scan) {
  if (page.items.size() > scan.limit) return "has more items than its limit";
  if (page.ended != page.next.empty()) return "has ended, or goes on nowhere";
  const KeyRange covered = covered_by(page, scan);
  if (!page.ended && covered.empty()) return "is to be followed by one from " + linear::show(page.next);
  const std::string* before = nullptr;
  for (const rpc::ScanItem& item : page.items) {
    if (!holds(covered, item.key)) return "has " + item.key + ", which is not between its ends";
    if (before != nullptr && (scan.down ? item.key >= *before : item.key <= *before))
      return "has " + item.key + " after " + *before;
    if (scan.keys_only && !item.value.empty())
      return "has a value of " + item.key + ", and was asked for keys";
    before = &item.key;
  }
  const KeyRange asked = scan.down ? KeyRange{scan.to, scan.from} : KeyRange{scan.from, scan.to};
  const bool is_beyond = covered.low < asked.low || (!asked.high.empty() && covered.high > asked.high);
  return is_beyond ? "goes beyond its range" : "";
}

}  // namespace

Scanners::Scanners(SimWorld& world, PrefixCheck& history, ScannersOptions options)
    : world_(world), history_(history), options_(std::move(options)), random_(options_.seed ^ 0x5ca2) {
  for (const ShardInfo& shard : world_.topology().shards) guess_[shard.id] = shard.primary;
  for (std::size_t i = 0; i < options_.count; ++i) {
    scanners_.emplace_back().name = "scanner " + std::to_string(i);
    begin_later(i);
  }
}

void Scanners::begin_later(std::size_t index) {
  world_.at(world_.now() + random_.between(Duration{10ms}, Duration{800ms}), [this, index] { begin(index); });
}

void Scanners::begin(std::size_t index) {
  Scanner& scanner = scanners_[index];
  const auto& shards = world_.topology().shards;
  const ShardId shard = shards[random_.below(shards.size())].id;
  scanner.first = scanner.last = {};
  scanner.due.clear();
  scanner.read = random_.chance(kReplicaScansPerMillion) ? ReadMode::replica : ReadMode::linearizable;
  scanner.scan = {};
  scanner.scan.shard = shard;
  scanner.scan.down = random_.chance(500'000);
  scanner.scan.keys_only = random_.chance(kKeysOnlyPerMillion);
  scanner.scan.limit = random_.chance(250'000) ? kMaxScanItems : 1 + random_.below(5);
  choose_range(scanner.scan);
  const KeyRange range = covered_by({}, scanner.scan);
  for (const std::string& key : lasting_[shard]) {
    if (holds(range, key)) scanner.due.insert(key);
  }
  ask(index);
}

/// Mostly all there is.
void Scanners::choose_range(rpc::Scan& scan) {
  const auto& keys = options_.keys.at(scan.shard);
  if (keys.empty() || !random_.chance(kNarrowScansPerMillion)) return;
  KeyRange range{keys[random_.below(keys.size())], keys[random_.below(keys.size())]};
  if (range.low > range.high) std::swap(range.low, range.high);
  range.high.push_back('\0');
  scan.from = scan.down ? range.high : range.low;
  scan.to = scan.down ? range.low : range.high;
}

/// A while passes between pages: much may happen meanwhile.
void Scanners::ask_later(std::size_t index) {
  world_.at(world_.now() + random_.between(Duration{5ms}, Duration{400ms}), [this, index] { ask(index); });
}

void Scanners::ask(std::size_t index) {
  if (world_.now() >= options_.until) return;
  const Scanner& scanner = scanners_[index];
  const NodeId node = node_for(scanner);
  rpc::Request request;
  request.type = rpc::Type::scan;
  request.request_id = ++requests_;
  request.read = scanner.read;
  request.scan = std::make_shared<const rpc::Scan>(scanner.scan);
  auto open = std::make_shared<bool>(true);
  world_.ask(node, std::move(request),
             [this, index, node, open, asked = world_.now()](const rpc::Reply& reply) {
               if (std::exchange(*open, false)) take(index, node, reply, asked);
             });
  world_.at(world_.now() + kPageTimeout, [this, index, open] {
    if (!std::exchange(*open, false)) return;
    guess_again(scanners_[index]);
    ask(index);
  });
}

NodeId Scanners::node_for(const Scanner& scanner) {
  if (scanner.read == ReadMode::linearizable) return guess_[scanner.scan.shard];
  const ShardInfo& shard = *world_.topology().find_shard(scanner.scan.shard);
  const std::size_t place = random_.below(shard.replicas.size() + 1);
  return place == 0 ? shard.primary : shard.replicas[place - 1];
}

/// Any node may know.
void Scanners::guess_again(const Scanner& scanner) {
  if (scanner.read == ReadMode::replica) return;
  const auto& nodes = world_.topology().nodes;
  guess_[scanner.scan.shard] = nodes[random_.below(nodes.size())].id;
}

void Scanners::take(std::size_t index, NodeId node, const rpc::Reply& reply, TimePoint asked) {
  const Scanner& scanner = scanners_[index];
  const auto* page = std::get_if<rpc::ScanReply>(&reply.body);
  if (page == nullptr) {
    const auto* refusal = std::get_if<Error>(&reply.body);
    if (refusal == nullptr || refusal->code == Errc::bad_request)
      options_.violated(scanner.name + " was not understood");
    guess_again(scanner);
    return ask_later(index);
  }
  if (page->moved == nullptr) return take_page(index, node, *page, asked);
  if (scanner.read == ReadMode::linearizable)
    guess_[scanner.scan.shard] = world_.topology().find_node(page->moved->node_name)->id;
  ask_later(index);
}

void Scanners::take_page(std::size_t index, NodeId node, rpc::ScanReply page, TimePoint asked) {
  Scanner& scanner = scanners_[index];
  ++(scanner.read == ReadMode::replica ? replica_pages_ : pages_);
  judge(index, node, page, asked);
  if (scanner.first == NodeId{}) scanner.first = node;
  scanner.last = node;
  if (page.ended) return finish(index);
  scanner.scan.from = std::move(page.next);
  ask_later(index);
}

void Scanners::judge(std::size_t index, NodeId node, rpc::ScanReply& page, TimePoint asked) {
  Scanner& scanner = scanners_[index];
  const rpc::Scan& scan = scanner.scan;
  const std::string name =
      scanner.name + "'s page from " + linear::show(scan.from) + " at node " + std::to_string(node.value);
  if (auto problem = problem_of_shape(page, scan); !problem.empty())
    return options_.violated(name + " " + problem);
  if (scan.keys_only) history_.add_values(scan.shard, page.items);
  const KeyRange covered = covered_by(page, scan);
  if (auto problem =
          history_.problem_of(name, scan.shard, covered, page.items, options_.may_lose(scan.shard));
      !problem.empty())
    options_.violated(std::move(problem));
  if (scanner.read == ReadMode::linearizable) tell(index, covered, page.items, asked);
}

/// Keys that are not on the page were missing.
void Scanners::tell(std::size_t index, const KeyRange& covered, const std::vector<rpc::ScanItem>& items,
                    TimePoint asked) {
  Scanner& scanner = scanners_[index];
  std::set<std::string> missing;
  for (const std::string& key : options_.keys.at(scanner.scan.shard)) {
    if (holds(covered, key)) missing.insert(key);
  }
  for (const rpc::ScanItem& item : items) {
    OperationResult found;
    found.version = item.version;
    found.value = item.value;
    options_.tell(index, item.key, found, asked);
    missing.erase(item.key);
    scanner.due.erase(item.key);
    if (options_.is_lasting(item.key)) lasting_[scanner.scan.shard].insert(item.key);
  }
  for (const std::string& key : missing)
    options_.tell(index, key, OperationResult::failed(Errc::not_found, ""), asked);
}

void Scanners::finish(std::size_t index) {
  const Scanner& scanner = scanners_[index];
  ++scans_;
  if (scanner.read == ReadMode::linearizable) {
    continued_ += scanner.first != scanner.last;
    if (!scanner.due.empty() && !options_.may_lose(scanner.scan.shard))
      options_.violated(scanner.name + " did not see " + *scanner.due.begin() +
                        ", which was there throughout");
  }
  begin_later(index);
}

}  // namespace dkv::sim
