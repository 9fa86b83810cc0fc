// Clients who read the records of a simulated cluster's shards in the order of their keys, up or down, some
// at a time: each page is asked for where the last one ended, of whoever answers for the shard by then.
//
// Of each page they see that it keeps to its range and order, and is the shard as it was at one moment
// (prefix_check.hpp), and tell what it says of every key that it covers, missing ones included. Of a scan as
// a whole: that what was there throughout was on exactly one page.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "messages/scan.hpp"
#include "tests/sim/prefix_check.hpp"
#include "tests/sim/sim_world.hpp"

namespace dkv::sim {

/// What scanners need to know, and whom they tell.
struct ScannersOptions {
  std::size_t count = 2;
  std::uint64_t seed = 0;
  TimePoint until{};
  std::map<ShardId, std::vector<std::string>> keys;    // all that may be there
  std::function<bool(const std::string&)> is_lasting;  // a key that, once there, is never removed
  std::function<bool(ShardId)> may_lose;               // what is committed there
  /// A linearizable page, asked for at a time and answered now, says this of a key: ok or not_found.
  std::function<void(std::size_t scanner, const std::string& key, const OperationResult&, TimePoint asked)>
      tell;
  std::function<void(std::string)> violated;
};

class Scanners {
 public:
  Scanners(SimWorld& world, PrefixCheck& history, ScannersOptions options);

  std::uint64_t pages() const { return pages_; }
  std::uint64_t replica_pages() const { return replica_pages_; }
  /// Scans that came to their end, and of them: linearizable ones that had begun at another primary.
  std::uint64_t scans() const { return scans_; }
  std::uint64_t continued() const { return continued_; }

 private:
  struct Scanner {
    std::string name;
    rpc::Scan scan;  // what is left of it
    ReadMode read = ReadMode::linearizable;
    NodeId first;               // who answered its first page; zero: nobody yet
    NodeId last;                // who its last
    std::set<std::string> due;  // keys that were there before it began, not seen yet
  };

  void begin_later(std::size_t index);
  void begin(std::size_t index);
  void ask_later(std::size_t index);
  void ask(std::size_t index);
  void take(std::size_t index, NodeId node, const rpc::Reply& reply, TimePoint asked);
  void take_page(std::size_t index, NodeId node, rpc::ScanReply page, TimePoint asked);
  void judge(std::size_t index, NodeId node, rpc::ScanReply& page, TimePoint asked);
  void tell(std::size_t index, const KeyRange& covered, const std::vector<rpc::ScanItem>& items,
            TimePoint asked);
  void finish(std::size_t index);
  void choose_range(rpc::Scan& scan);
  NodeId node_for(const Scanner& scanner);
  void guess_again(const Scanner& scanner);

  SimWorld& world_;
  PrefixCheck& history_;
  ScannersOptions options_;
  Random random_;  // of their own: they draw nothing that others would
  std::vector<Scanner> scanners_;
  std::map<ShardId, NodeId> guess_;                   // where its primary is
  std::map<ShardId, std::set<std::string>> lasting_;  // keys that any page has shown
  std::uint64_t requests_ = 0;
  std::uint64_t pages_ = 0;
  std::uint64_t replica_pages_ = 0;
  std::uint64_t scans_ = 0;
  std::uint64_t continued_ = 0;
};

}  // namespace dkv::sim
