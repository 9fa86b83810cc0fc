// The topology as bytes, for clients and other nodes. Format version 1; see topology/README.md.
#pragma once

#include <string>
#include <string_view>

#include "messages/result.hpp"
#include "topology/topology.hpp"

namespace dkv {

std::string encode(const Topology& topology);
/// Errors: wrong_version, bad_request (anything malformed, a slot without an owner, an unknown id).
Result<Topology> decode_topology(std::string_view bytes);

}  // namespace dkv
