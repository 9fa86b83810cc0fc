#include "topology/toml.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <toml++/toml.h>
#include <tuple>
#include <xxhash.h>

#include "topology/check.hpp"
#include "topology/codec.hpp"
#include "topology/endpoint.hpp"
#include "topology/placement.hpp"

namespace dkv {

namespace {

using Place = toml::source_position;
using Keys = std::span<const std::string_view>;

/// toml++ builds and destroys nested tables by recursion, and a key a.b.c… nests once per dot: 40,000 of
/// them overflow the stack. The largest cluster's addresses need a third of this.
constexpr std::ptrdiff_t kMaxDots = 10'000;

/// A value with the place in the file to point at when it turns out to be wrong.
template <class T>
struct At {
  T value{};
  Place place{};
};

struct FileService {
  std::string_view key;
  std::uint16_t default_port;
  std::string NodeInfo::*endpoint;
};
constexpr std::array<FileService, 5> kServices{{{"http", 8080, &NodeInfo::http},
                                                {"rpc", 7001, &NodeInfo::rpc},
                                                {"events", 7002, &NodeInfo::events},
                                                {"peer", 7003, &NodeInfo::peer},
                                                {"watch", 7004, &NodeInfo::watch}}};

struct FileNode {
  At<std::string> name;
  At<std::string> host;
  std::array<At<std::uint16_t>, kServices.size()> ports;
};

struct FileShard {
  At<std::string> name;
  At<std::string> primary;
  std::vector<At<std::string>> replicas;
  std::uint32_t weight = 1;
  StoreKind store = StoreKind::lmdb;
};

struct File {
  std::string cluster;
  Failover failover = Failover::standard;
  std::optional<std::vector<At<std::string>>> keepers;
  Place keepers_place;
  std::vector<FileNode> nodes;
  std::vector<FileShard> shards;
};

/// Text from the file as it may stand in a message: quoted, short, without control characters.
std::string quoted(std::string_view text) {
  constexpr std::size_t kMaxShown = 80;
  std::string out = "\"";
  for (const char c : text.substr(0, kMaxShown))
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out + (text.size() > kMaxShown ? "…\"" : "\"");
}

std::string list(Keys keys) {
  std::string out;
  for (const std::string_view key : keys) out += (out.empty() ? "" : ", ") + std::string(key);
  return out;
}

std::string_view kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return node.is_array_of_tables() ? "an array of tables" : "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

/// The earliest mistake in the file: later ones are often its consequences.
class Mistakes {
 public:
  explicit Mistakes(const std::string& file_name) : file_name_(file_name) {}

  void add(Place place, const std::string& text) { add(false, place, text); }
  /// What is missing is often there, misspelt: reported only when there is no other mistake.
  void add_missing(Place place, const std::string& text) { add(true, place, text); }
  bool any() const { return any_; }
  Error error() const {
    return Error{Errc::bad_request, file_name_ + ":" + std::to_string(place_.line) + ":" +
                                        std::to_string(place_.column) + ": " + text_};
  }

 private:
  void add(bool missing, Place place, const std::string& text) {
    if (any_ && !(std::tie(missing, place) < std::tie(missing_, place_))) return;
    any_ = true;
    missing_ = missing;
    place_ = place;
    text_ = text;
  }

  const std::string& file_name_;
  bool any_ = false;
  bool missing_ = false;
  Place place_{};
  std::string text_;
};

/// One table of the file while its keys are read. A key that is missing or wrong becomes a mistake, and
/// reads as empty.
class TableReader {
 public:
  TableReader(const toml::table& table, std::string title, Mistakes& mistakes)
      : table_(table), title_(std::move(title)), place_(table.source().begin), mistakes_(mistakes) {}

  void allow(Keys keys) {
    for (const auto& [key, value] : table_) {
      if (std::find(keys.begin(), keys.end(), key.str()) != keys.end()) continue;
      mistakes_.add(key.source().begin,
                    "unknown key " + quoted(key.str()) + " in " + title_ + "; allowed are " + list(keys));
    }
  }

  At<std::string> name(std::string_view key) {
    At<std::string> text = this->text(key, "a name");
    if (text.place.line != 0) check_name(key, text);
    return text;
  }

  At<std::string> host(std::string_view key) {
    At<std::string> text = this->text(key, "an address");
    if (text.place.line == 0) return text;
    Result<std::string> address = parse_address(text.value);
    if (address) return {*std::move(address), text.place};
    std::string problem = address.error().message;
    if (parse_host(text.value)) {
      problem =
          "is a hostname; write the IPv4 or IPv6 address that it stands for, such as 127.0.0.2: "
          "a node listens on it, and no name is looked up";
    }
    mistakes_.add(text.place, std::string(key) + " = " + quoted(text.value) + " " + problem);
    return text;
  }

  /// Empty when the key is absent.
  std::optional<std::vector<At<std::string>>> names(std::string_view key) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return std::nullopt;
    std::vector<At<std::string>> names;
    const toml::array* array = node->as_array();
    if (array == nullptr) {
      mistakes_.add(place_of(*node),
                    std::string(key) + " must be an array of names, not " + std::string(kind_of(*node)));
      return names;
    }
    for (const toml::node& element : *array) {
      if (const auto* text = element.as_string()) {
        names.push_back({text->get(), place_of(element)});
        check_name(key, names.back());
      } else {
        mistakes_.add(place_of(element),
                      std::string(key) + " must hold names only, not " + std::string(kind_of(element)));
      }
    }
    return names;
  }

  /// A whole number from 1 to `max`. Where the key is absent: `otherwise`, at no place.
  At<std::int64_t> number(std::string_view key, std::int64_t max, std::int64_t otherwise) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return {otherwise, {}};
    const std::string rule = std::string(key) + " must be a whole number from 1 to " + std::to_string(max);
    const auto* number = node->as_integer();
    if (number == nullptr) {
      mistakes_.add(place_of(*node), rule + ", not " + std::string(kind_of(*node)));
    } else if (number->get() < 1 || number->get() > max) {
      mistakes_.add(place_of(*node), rule + ", not " + std::to_string(number->get()));
    } else {
      return {number->get(), place_of(*node)};
    }
    return {otherwise, {}};
  }

  /// One of `choices`, by its place among them; the first one where the key is absent.
  std::size_t choice(std::string_view key, Keys choices) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return 0;
    const auto* text = node->as_string();
    const auto found =
        std::find(choices.begin(), choices.end(), text == nullptr ? std::string_view{} : text->get());
    if (found != choices.end()) return static_cast<std::size_t>(found - choices.begin());
    std::string allowed;
    for (const std::string_view one : choices) allowed += (allowed.empty() ? "" : " or ") + quoted(one);
    mistakes_.add(place_of(*node), std::string(key) + " must be " + allowed + ", not " +
                                       (text == nullptr ? std::string(kind_of(*node)) : quoted(text->get())));
    return 0;
  }

  /// Where the key's value begins, or else the table.
  Place place(std::string_view key) const {
    const toml::node* node = table_.get(key);
    return node == nullptr ? place_ : place_of(*node);
  }

 private:
  static Place place_of(const toml::node& node) { return node.source().begin; }

  At<std::string> text(std::string_view key, const std::string& what) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) {
      mistakes_.add_missing(place_, title_ + " has no " + std::string(key) + "; it must have one");
      return {};
    }
    if (const auto* text = node->as_string()) return {text->get(), place_of(*node)};
    mistakes_.add(place_of(*node),
                  std::string(key) + " must be " + what + " in quotes, not " + std::string(kind_of(*node)));
    return {};
  }

  void check_name(std::string_view key, const At<std::string>& text) {
    if (is_name(text.value)) return;
    mistakes_.add(
        text.place,
        std::string(key) + ": " + quoted(text.value) +
            " is no name; a name has 1 to 63 of a-z, 0-9 and '-', and begins with a letter or a digit");
  }

  const toml::table& table_;
  std::string title_;
  Place place_;
  Mistakes& mistakes_;
};

// --- What the file says, key by key ---

FileNode read_node(const toml::table& table, Mistakes& mistakes) {
  constexpr std::array<std::string_view, 7> keys{"name", "host", "http", "rpc", "events", "peer", "watch"};
  TableReader in(table, "[[node]]", mistakes);
  in.allow(keys);
  FileNode node{.name = in.name("name"), .host = in.host("host"), .ports = {}};
  for (std::size_t i = 0; i < kServices.size(); ++i) {
    const At<std::int64_t> port = in.number(kServices[i].key, UINT16_MAX, kServices[i].default_port);
    node.ports[i] = {static_cast<std::uint16_t>(port.value),
                     port.place.line == 0 ? node.host.place : port.place};
  }
  return node;
}

FileShard read_shard(const toml::table& table, Mistakes& mistakes) {
  constexpr std::array<std::string_view, 5> keys{"name", "primary", "replicas", "weight", "store"};
  constexpr std::array<std::string_view, 2> stores{"lmdb", "memory"};
  TableReader in(table, "[[shard]]", mistakes);
  in.allow(keys);
  FileShard shard{.name = in.name("name"), .primary = in.name("primary"), .replicas = {}};
  if (auto replicas = in.names("replicas")) shard.replicas = *std::move(replicas);
  if (shard.replicas.size() > kMaxReplicas) {
    mistakes.add(in.place("replicas"), "replicas: " + std::to_string(shard.replicas.size()) +
                                           " are too many; a shard has at most " +
                                           std::to_string(kMaxReplicas));
  }
  shard.weight = static_cast<std::uint32_t>(in.number("weight", kMaxWeight, 1).value);
  shard.store = in.choice("store", stores) == 0 ? StoreKind::lmdb : StoreKind::memory;
  return shard;
}

void read_cluster(const toml::table& root, File& file, Mistakes& mistakes) {
  constexpr std::array<std::string_view, 3> keys{"name", "keepers", "failover"};
  constexpr std::array<std::string_view, 2> failovers{"standard", "fast"};
  const toml::node* node = root.get("cluster");
  if (node == nullptr) {
    return mistakes.add_missing({1, 1}, "the file has no [cluster] table; it must have one");
  }
  if (!node->is_table()) {
    return mistakes.add(node->source().begin,
                        "cluster must be a table, [cluster], not " + std::string(kind_of(*node)));
  }
  TableReader in(*node->as_table(), "[cluster]", mistakes);
  in.allow(keys);
  file.cluster = in.name("name").value;
  file.keepers = in.names("keepers");
  file.keepers_place = in.place("keepers");
  file.failover = in.choice("failover", failovers) == 0 ? Failover::standard : Failover::fast;
}

/// Reads the tables [[key]] by `read`; there are 1 to `max` of them.
template <class Item>
std::vector<Item> read_tables(const toml::table& root, const std::string& key, std::size_t max,
                              Item (*read)(const toml::table&, Mistakes&), Mistakes& mistakes) {
  const toml::node* node = root.get(key);
  const std::string title = "[[" + key + "]]";
  std::vector<Item> items;
  if (node == nullptr) {
    mistakes.add_missing({1, 1}, "the file has no " + title + "; it must have 1 to " + std::to_string(max));
    return items;
  }
  const toml::array* array = node->as_array();
  if (array == nullptr || !array->is_array_of_tables()) {
    mistakes.add(node->source().begin,
                 key + " must be an array of tables, " + title + ", not " + std::string(kind_of(*node)));
    return items;
  }
  for (const toml::node& element : *array) {
    if (items.size() == max) {
      mistakes.add(element.source().begin, "more than " + std::to_string(max) + " " + title);
      break;
    }
    items.push_back(read(*element.as_table(), mistakes));
  }
  return items;
}

File read_file(const toml::table& root, Mistakes& mistakes) {
  constexpr std::array<std::string_view, 3> keys{"cluster", "node", "shard"};
  TableReader(root, "the file", mistakes).allow(keys);
  File file;
  read_cluster(root, file, mistakes);
  file.nodes = read_tables<FileNode>(root, "node", kMaxNodes, read_node, mistakes);
  file.shards = read_tables<FileShard>(root, "shard", kMaxShards, read_shard, mistakes);
  return file;
}

// --- What its parts say about each other ---

using Seen = std::map<std::string, Place>;

/// Notes `item`; a mistake when it was noted before.
void once(Seen& seen, const std::string& item, Place place, const std::string& what, Mistakes& mistakes) {
  const auto [found, is_new] = seen.emplace(item, place);
  if (is_new) return;
  mistakes.add(place, what + " " + quoted(item) + " is here twice; first on line " +
                          std::to_string(found->second.line));
}

void check_nodes(const File& file, Seen& names, Mistakes& mistakes) {
  Seen addresses;
  for (const FileNode& node : file.nodes) {
    once(names, node.name.value, node.name.place, "node name", mistakes);
    // Defaults first: of two services on one port, the one that the file names is to be changed.
    for (const bool named : {false, true}) {
      for (const At<std::uint16_t>& port : node.ports) {
        if ((port.place != node.host.place) != named) continue;
        once(addresses, to_string(Endpoint{node.host.value, port.value}), port.place, "address", mistakes);
      }
    }
  }
}

void check_member(const Seen& nodes, const At<std::string>& name, Seen& members, const std::string& where,
                  Mistakes& mistakes) {
  if (nodes.count(name.value) == 0) {
    mistakes.add(name.place, where + ": there is no node " + quoted(name.value) + " in this file");
  }
  once(members, name.value, name.place, where + ": node", mistakes);
}

void check_shards(const File& file, const Seen& nodes, Mistakes& mistakes) {
  Seen names;
  for (const FileShard& shard : file.shards) {
    once(names, shard.name.value, shard.name.place, "shard name", mistakes);
    const std::string where = "shard " + quoted(shard.name.value);
    Seen members;
    check_member(nodes, shard.primary, members, where, mistakes);
    for (const At<std::string>& replica : shard.replicas)
      check_member(nodes, replica, members, where, mistakes);
  }
}

void check_keepers(const File& file, const Seen& nodes, Mistakes& mistakes) {
  if (!file.keepers) return;
  if (!is_keeper_count(file.keepers->size())) {
    mistakes.add(file.keepers_place,
                 "keepers must be 1, 3 or 5 nodes, not " + std::to_string(file.keepers->size()));
  }
  Seen keepers;
  for (const At<std::string>& keeper : *file.keepers)
    check_member(nodes, keeper, keepers, "keepers", mistakes);
}

// --- The topology that it comes to ---

NodeInfo make_node(const FileNode& from, NodeId id) {
  NodeInfo node{
      .id = id, .name = from.name.value, .http = {}, .rpc = {}, .events = {}, .peer = {}, .watch = {}};
  for (std::size_t i = 0; i < kServices.size(); ++i) {
    node.*kServices[i].endpoint = to_string(Endpoint{from.host.value, from.ports[i].value});
  }
  return node;
}

ShardInfo make_shard(const FileShard& from, ShardId id, const std::map<std::string, NodeId>& ids) {
  ShardInfo shard{.id = id,
                  .name = from.name.value,
                  .weight = from.weight,
                  .primary = ids.at(from.primary.value),
                  .replicas = {},
                  .in_sync = {},
                  .store = from.store};
  for (const At<std::string>& replica : from.replicas) shard.replicas.push_back(ids.at(replica.value));
  return shard;
}

/// The named ones, or else the first 5, 3 or 1 nodes by name.
std::vector<Keeper> make_keepers(const File& file, const std::map<std::string, NodeId>& ids) {
  std::vector<Keeper> keepers;
  if (file.keepers) {
    for (const At<std::string>& keeper : *file.keepers) keepers.push_back({ids.at(keeper.value)});
    std::sort(keepers.begin(), keepers.end(),
              [](const Keeper& a, const Keeper& b) { return a.node < b.node; });
  } else {
    const std::size_t count = ids.size() >= 5 ? 5 : ids.size() >= 3 ? 3 : 1;
    for (std::uint32_t id = 1; id <= count; ++id) keepers.push_back({NodeId{id}});
  }
  return keepers;
}

template <class Item>
void sort_by_name(std::vector<Item>& items) {
  std::sort(items.begin(), items.end(),
            [](const Item& a, const Item& b) { return a.name.value < b.name.value; });
}

Topology make_topology(File file) {
  Topology topology;
  topology.name = file.cluster;
  topology.failover = file.failover;
  sort_by_name(file.nodes);
  sort_by_name(file.shards);
  std::map<std::string, NodeId> ids;
  for (const FileNode& node : file.nodes) {
    const NodeId id{static_cast<std::uint32_t>(ids.size() + 1)};
    ids.emplace(node.name.value, id);
    topology.nodes.push_back(make_node(node, id));
  }
  std::vector<PlacementShard> placed;
  for (const FileShard& shard : file.shards) {
    const ShardId id{static_cast<std::uint32_t>(placed.size() + 1)};
    placed.push_back({id, shard.name.value, shard.weight});
    topology.shards.push_back(make_shard(shard, id, ids));
  }
  topology.keepers = make_keepers(file, ids);
  topology.slots = place(placed);
  topology.id = cluster_id_of(topology);
  return topology;
}

Error too_large(const std::string& file_name) {
  return Error{Errc::too_large, file_name + ": is larger than " + std::to_string(kMaxTopologyFileBytes) +
                                    " bytes; that is no topology"};
}

Result<Topology> understand(const toml::table& root, const std::string& file_name) {
  Mistakes mistakes(file_name);
  File file = read_file(root, mistakes);
  // Only what could be read is compared: a misspelt key must not be reported as a missing node.
  if (mistakes.any()) return mistakes.error();
  Seen nodes;
  check_nodes(file, nodes, mistakes);
  if (mistakes.any()) return mistakes.error();
  check_shards(file, nodes, mistakes);
  check_keepers(file, nodes, mistakes);
  if (mistakes.any()) return mistakes.error();
  return make_topology(std::move(file));
}

}  // namespace

Result<Topology> parse_topology(std::string_view text, const std::string& file_name) {
  if (text.size() > kMaxTopologyFileBytes) return too_large(file_name);
  if (std::count(text.begin(), text.end(), '.') > kMaxDots) {
    Mistakes mistakes(file_name);
    mistakes.add({1, 1}, "the file has more than " + std::to_string(kMaxDots) +
                             " dots, so its keys may nest too deep; that is no topology");
    return mistakes.error();
  }
  try {
    return understand(toml::parse(text, file_name), file_name);
  } catch (const toml::parse_error& error) {
    Mistakes mistakes(file_name);
    mistakes.add(error.source().begin, std::string(error.description()));
    return mistakes.error();
  }
}

Result<Topology> load_topology(const std::string& path) {
  const auto cannot_read = [&path] {
    return Error{Errc::io_error, path + ": cannot be read: " + std::strerror(errno)};
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) return cannot_read();
  std::string text(kMaxTopologyFileBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return cannot_read();
  return parse_topology(text, path);
}

}  // namespace dkv
