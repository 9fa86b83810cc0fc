// The topology as bytes, for clients and other nodes, and for the id of a new cluster. Format version 2;
// see topology/README.md.
#pragma once

#include <string>
#include <string_view>

#include "messages/result.hpp"
#include "topology/topology.hpp"

namespace dkv {

/// Equal topologies have equal bytes.
std::string encode(const Topology& topology);

/// The id of the cluster that begins with this topology: XXH3-64 of its encoding in format version 1, which
/// stays what it is, with id 0 and empty endpoints. So it depends on names, shards, their members, weights,
/// stores and slots, the keepers' nodes, and how failover is timed; neither on addresses nor on what the
/// register adds.
std::uint64_t cluster_id_of(Topology topology);

/// Decodes bytes from anybody: neither crashes nor allocates more than a few MiB, whatever they claim.
/// Errors: wrong_version, bad_request (anything malformed, or that breaks a rule of topology/check.hpp).
Result<Topology> decode_topology(std::string_view bytes);

}  // namespace dkv
