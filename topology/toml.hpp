// The first topology of a cluster, from a TOML file that a person wrote; the format is in README.md.
// Checked strictly: whatever is not understood is an error, so that a typing mistake never becomes a
// default. After the cluster's first start the file is only compared: the topology has versions of its own.
//
// What comes out depends on what the file says, not on the order that it says it in: node and shard ids
// are 1, 2, … in order of name, and the id of the cluster follows from everything but the addresses. (Only
// the order within a `replicas` list is kept.)
#pragma once

#include <string>
#include <string_view>

#include "messages/result.hpp"
#include "topology/topology.hpp"

namespace dkv {

/// A larger file is no topology.
inline constexpr std::size_t kMaxTopologyFileBytes = std::size_t{1} << 20;

/// Reads and parses the file. Errors: io_error (missing, unreadable), too_large, bad_request; see
/// parse_topology().
Result<Topology> load_topology(const std::string& path);

/// Version 1 of the topology that `text` describes. No replica is in-sync in it: one becomes so when its
/// primary has seen it catch up and admits it, never because a file says so.
/// Errors: bad_request, too_large. The message reads "file:line:column: what is wrong and what is allowed".
Result<Topology> parse_topology(std::string_view text, const std::string& file_name);

}  // namespace dkv
