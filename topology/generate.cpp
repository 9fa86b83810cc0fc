#include "topology/generate.hpp"

#include <arpa/inet.h>
#include <array>
#include <vector>

#include "topology/check.hpp"
#include "topology/endpoint.hpp"

namespace dkv {

namespace {

constexpr std::uint32_t kHostBits = 0x00ffffff;  // of an address within its /8 network

Error refused(const std::string& reason) { return Error{Errc::bad_request, reason}; }

/// The base address as a number, when `nodes` addresses from there on are fit for nodes.
Result<std::uint32_t> first_address(const std::string& base, std::uint64_t nodes) {
  in_addr parsed{};
  if (inet_pton(AF_INET, base.c_str(), &parsed) != 1 || !parse_address(base)) {
    return refused("base: \"" + base + "\" is not an IPv4 address that a node can have, such as 127.0.0.2");
  }
  const std::uint32_t first = ntohl(parsed.s_addr);
  const std::uint64_t last_host = (first & kHostBits) + nodes - 1;
  if ((first & kHostBits) == 0 || last_host >= kHostBits) {
    return refused("base: " + std::to_string(nodes) + " nodes from " + base +
                   " on do not fit into its /8 network; begin lower, and above its first address");
  }
  return first;
}

std::string address_text(std::uint32_t address) {
  const in_addr raw{htonl(address)};
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &raw, text.data(), text.size());
  return text.data();
}

std::string shard_name(std::uint32_t number, std::uint32_t shards) {
  const std::string digits = std::to_string(number);
  return "shard-" + std::string(std::to_string(shards).size() - digits.size(), '0') + digits;
}

/// `number` is 0 for the primary, and 1 and up for the replicas.
std::string member_name(const std::string& shard, std::uint32_t number) {
  if (number == 0) return shard;
  return shard + "-replica" + (number == 1 ? "" : "-" + std::to_string(number));
}

std::string quoted_list(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "\"" : ", \"") + name + "\"";
  return "[" + out + "]";
}

std::string cluster_table(const std::vector<std::string>& nodes, Failover failover) {
  const std::size_t count = nodes.size() >= 5 ? 5 : nodes.size() >= 3 ? 3 : 1;
  const auto end = nodes.begin() + static_cast<std::ptrdiff_t>(count);
  return "[cluster]\nname = \"cluster\"\nkeepers = " + quoted_list({nodes.begin(), end}) + "\n" +
         (failover == Failover::standard ? "" : "failover = \"" + std::string(name_of(failover)) + "\"\n");
}

std::string shard_table(const std::string& name, const GenerateOptions& options) {
  std::vector<std::string> names;
  for (std::uint32_t number = 1; number <= options.replicas; ++number)
    names.push_back(member_name(name, number));
  return "\n[[shard]]\nname = \"" + name + "\"\nprimary = \"" + name +
         "\"\nreplicas = " + quoted_list(names) + "\n" +
         (options.store == StoreKind::lmdb ? ""
                                           : "store = \"" + std::string(name_of(options.store)) + "\"\n");
}

}  // namespace

Result<std::string> generate_toml(const GenerateOptions& options) {
  if (options.shards < 1 || options.shards > kMaxShards) {
    return refused("shards: must be 1 to " + std::to_string(kMaxShards) + ", not " +
                   std::to_string(options.shards));
  }
  if (options.replicas > kMaxReplicas) {
    return refused("replicas: must be 0 to " + std::to_string(kMaxReplicas) + ", not " +
                   std::to_string(options.replicas));
  }
  const std::uint64_t count = std::uint64_t{options.shards} * (options.replicas + 1);
  if (count > kMaxNodes) {
    return refused(std::to_string(count) + " nodes are too many; a cluster has at most " +
                   std::to_string(kMaxNodes));
  }
  const Result<std::uint32_t> first = first_address(options.base, count);
  if (!first) return first.error();

  std::vector<std::string> nodes;
  for (std::uint32_t number = 0; number <= options.replicas; ++number) {
    for (std::uint32_t shard = 1; shard <= options.shards; ++shard) {
      nodes.push_back(member_name(shard_name(shard, options.shards), number));
    }
  }
  std::string toml = "# " + std::to_string(options.shards) + " shards, each a primary and " +
                     std::to_string(options.replicas) + " replicas. The format: topology/README.md\n\n" +
                     cluster_table(nodes, options.failover);
  std::uint32_t address = *first;
  for (const std::string& node : nodes) {
    toml += "\n[[node]]\nname = \"" + node + "\"\nhost = \"" + address_text(address++) + "\"\n";
  }
  for (std::uint32_t shard = 1; shard <= options.shards; ++shard) {
    toml += shard_table(shard_name(shard, options.shards), options);
  }
  return toml;
}

}  // namespace dkv
