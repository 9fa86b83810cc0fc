// The JSON that the HTTP API answers with, as text that ends with a newline. Never throws on content:
// bytes that are not UTF-8 are shown as U+FFFD.
#pragma once

#include <string>
#include <string_view>

#include "messages/status.hpp"
#include "topology/topology.hpp"

namespace dkv::http {

/// {"error":{"code":…,"message":…}}
std::string error_json(std::string_view code, std::string_view message);
/// The error of a node that is not ready, with the members that are not, and why.
std::string not_ready_json(const NodeStatus& status);
std::string status_json(const NodeStatus& status);
/// Without the slots one by one: each shard has its ranges and their count.
std::string topology_json(const Topology& topology);

}  // namespace dkv::http
