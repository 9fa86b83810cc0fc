// The rules that every topology keeps, wherever it comes from (a file, a peer, the command line), and
// the limits that bound its size.
#pragma once

#include <cstddef>
#include <string_view>

#include "messages/result.hpp"
#include "topology/topology.hpp"

namespace dkv {

inline constexpr std::size_t kMaxNodes = 1024;
inline constexpr std::size_t kMaxShards = 1024;
/// A committed write waits for all of a shard's in-sync replicas: more would only be slower.
inline constexpr std::size_t kMaxReplicas = 16;
inline constexpr std::size_t kMaxKeepers = 5;
inline constexpr std::size_t kMaxNameBytes = 63;

/// Names of clusters, nodes and shards: 1 to 63 of a-z, 0-9 and '-', the first a letter or a digit, so
/// that they are fit for file names, hostnames and command lines.
bool is_name(std::string_view text);

/// 1, 3 or 5: an even number of keepers survives no more failures than the odd one below it.
bool is_keeper_count(std::size_t count);

/// Whether `topology` keeps all rules; the error says which one it breaks first. The rules are listed in
/// README.md, "What a topology promises". Errors: bad_request.
Result<void> check(const Topology& topology);

}  // namespace dkv
