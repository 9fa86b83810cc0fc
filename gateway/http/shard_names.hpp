// Which shard a key belongs to, for the X-Shard header: the backend's topology, fetched at most once a
// second, and kept while its version stays the same. The header is information: where the answer comes
// from is the backend's decision alone, so an outdated name here misleads nobody for longer than a second.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/http/backend.hpp"
#include "topology/topology.hpp"

namespace dkv::http {

class ShardNames {
 public:
  explicit ShardNames(Backend& backend) : backend_(backend) {}

  /// "" while no topology is known.
  std::string of(std::string_view key);
  /// Where the key's writes go if not to the node of this name; nothing while it is unknown. "Elsewhere" is
  /// never said from an old copy: the backend is asked again first, so that it says what its own redirect
  /// would.
  std::optional<Moved> owner_elsewhere(std::string_view key, std::string_view node_name);
  /// Some answer came from this topology: an older one here is fetched anew.
  void saw_version(std::uint64_t version);

 private:
  using Clock = std::chrono::steady_clock;

  TopologyPtr current();
  TopologyPtr refresh();

  Backend& backend_;
  std::mutex mutex_;
  TopologyPtr topology_;
  Clock::time_point fetch_at_{};
  bool fetching_ = false;
};

}  // namespace dkv::http
