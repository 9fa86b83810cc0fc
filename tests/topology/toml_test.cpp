#include "topology/toml.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <set>
#include <sstream>

#include "topology/check.hpp"
#include "topology/codec.hpp"

namespace dkv {
namespace {

std::string read(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

const std::string kIndia = TOPOLOGY_FOLDER "/india.toml";

TEST(TopologyFile, IndiaHasItsCitiesAndTheirAddresses) {
  const Result<Topology> india = load_topology(kIndia);
  ASSERT_TRUE(india) << india.error().message;
  EXPECT_EQ(india->version, 1u);
  EXPECT_EQ(india->name, "india");
  EXPECT_EQ(india->nodes.size(), 8u);
  EXPECT_EQ(india->keepers.size(), 5u);
  const std::pair<std::string, std::string> hosts[] = {{"delhi", "127.0.0.2"},
                                                       {"mumbai", "127.0.0.3"},
                                                       {"hyderabad", "127.0.0.4"},
                                                       {"chennai", "127.0.0.5"},
                                                       {"delhi-replica", "127.0.0.22"},
                                                       {"mumbai-replica", "127.0.0.33"},
                                                       {"hyderabad-replica", "127.0.0.44"},
                                                       {"chennai-replica", "127.0.0.55"}};
  for (const auto& [name, host] : hosts) {
    const NodeInfo* node = india->find_node(name);
    ASSERT_NE(node, nullptr) << name;
    EXPECT_EQ(node->http, host + ":8080");
    EXPECT_EQ(node->rpc, host + ":7001");
    EXPECT_EQ(node->events, host + ":7002");
    EXPECT_EQ(node->peer, host + ":7003");
    EXPECT_EQ(node->watch, host + ":7004");
  }
  ASSERT_EQ(india->shards.size(), 4u);
  for (const ShardInfo& shard : india->shards) {
    EXPECT_EQ(india->find_node(shard.primary)->name, shard.name);
    ASSERT_EQ(shard.replicas.size(), 1u);
    EXPECT_EQ(india->find_node(shard.replicas[0])->name, shard.name + "-replica");
    EXPECT_TRUE(shard.in_sync.empty());
    EXPECT_EQ(std::count(india->slots.begin(), india->slots.end(), shard.id), 4096);
  }
  EXPECT_EQ(india->slots[0], india->find_shard("chennai")->id);
}

TEST(TopologyFile, EverySampleClusterLoadsAndKeepsTheRules) {
  for (const std::string name : {"india", "one-node", "three-nodes", "namespaces"}) {
    const Result<Topology> topology = load_topology(TOPOLOGY_FOLDER "/" + name + ".toml");
    ASSERT_TRUE(topology) << topology.error().message;
    EXPECT_EQ(topology->name, name);
    EXPECT_NE(topology->id, 0u);
    const Result<Topology> decoded = decode_topology(encode(*topology));
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(*decoded, *topology);
  }
}

TEST(TopologyFile, NumbersByNameSoThatTheOrderOfTheFileDoesNotMatter) {
  const auto head = [](const std::string& keepers) {
    return "[cluster]\nname = \"c\"\nkeepers = [" + keepers +
           "]\n[[node]]\nname = \"d\"\nhost = \"127.0.0.4\"\n";
  };
  const std::string one = "[[node]]\nname = \"b\"\nhost = \"127.0.0.2\"\n";
  const std::string two = "[[node]]\nname = \"a\"\nhost = \"127.0.0.3\"\n";
  const std::string s1 = "[[shard]]\nname = \"y\"\nprimary = \"a\"\nweight = 3\n";
  const std::string s2 = "[[shard]]\nname = \"x\"\nprimary = \"b\"\n";
  const Result<Topology> first = parse_topology(head(R"("a", "b", "d")") + one + two + s1 + s2, "f");
  const Result<Topology> second = parse_topology(s2 + s1 + two + head(R"("d", "b", "a")") + one, "g");
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(first->find_node("a")->id, NodeId{1});
  EXPECT_EQ(first->find_node("b")->id, NodeId{2});
  EXPECT_EQ(first->find_shard("x")->id, ShardId{1});
  EXPECT_EQ(std::count(first->slots.begin(), first->slots.end(), ShardId{2}), 3 * 4096);
}

/// `text` with the first `from` replaced.
std::string with(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST(TopologyFile, AShardIsOnDiskUnlessItsStoreIsMemory) {
  const std::string text = read(kIndia);
  const std::string delhi = "replicas = [\"delhi-replica\"]";
  const auto plain = parse_topology(text, "f");
  EXPECT_EQ(plain->find_shard("delhi")->store, StoreKind::lmdb);
  const auto named = parse_topology(with(text, delhi, delhi + "\nstore = \"lmdb\""), "f");
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(*named, *plain);
  const auto memory = parse_topology(with(text, delhi, delhi + "\nstore = \"memory\""), "f");
  ASSERT_TRUE(memory) << memory.error().message;
  EXPECT_EQ(memory->find_shard("delhi")->store, StoreKind::memory);
  EXPECT_EQ(memory->find_shard("mumbai")->store, StoreKind::lmdb);
  EXPECT_NE(memory->id, plain->id);
}

TEST(TopologyFile, AClusterWithFastFailoverIsAnotherOne) {
  const std::string text = read(kIndia);
  const std::string name = "name = \"india\"";
  const auto plain = parse_topology(text, "f");
  EXPECT_EQ(plain->failover, Failover::standard);
  const auto named = parse_topology(with(text, name, name + "\nfailover = \"standard\""), "f");
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(*named, *plain);
  const auto fast = parse_topology(with(text, name, name + "\nfailover = \"fast\""), "f");
  ASSERT_TRUE(fast) << fast.error().message;
  EXPECT_EQ(fast->failover, Failover::fast);
  EXPECT_NE(fast->id, plain->id);
}

std::string with_all(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

TEST(TopologyFile, StaysTheSameClusterAtOtherAddresses) {
  const std::string text = read(kIndia);
  const std::uint64_t id = parse_topology(text, "f")->id;
  for (const std::string& moved : {
           "# a comment\n" + text,
           with(text, "127.0.0.55", "127.0.0.56"),
           with(text, "host = \"127.0.0.2\"", "host = \"127.0.0.2\"\nhttp = 8081\nwatch = 9004"),
           with(text, "127.0.0.3", "::1"),
           with_all(text, "127.0.0.", "10.1.2."),
       }) {
    const Result<Topology> topology = parse_topology(moved, "g");
    ASSERT_TRUE(topology) << topology.error().message;
    EXPECT_EQ(topology->id, id) << moved;
  }
}

TEST(TopologyFile, IsAnotherClusterWithOtherNamesOrShards) {
  const std::string text = read(kIndia);
  std::set<std::uint64_t> ids{parse_topology(text, "f")->id};
  for (const std::string& other : {
           with(text, "name = \"india\"", "name = \"bharat\""),
           with_all(text, "\"chennai-replica\"", "\"madras-replica\""),
           with(text, "[[shard]]\nname = \"chennai\"", "[[shard]]\nname = \"madras\""),
           with(text, "replicas = [\"delhi-replica\"]", "replicas = [\"delhi-replica\"]\nweight = 2"),
           with(text, "replicas = [\"delhi-replica\"]", "replicas = []"),
           with(text, "replicas = [\"delhi-replica\"]", "replicas = [\"mumbai\"]"),
           text + "[[shard]]\nname = \"pune\"\nprimary = \"delhi\"\n",
       }) {
    const Result<Topology> topology = parse_topology(other, "g");
    ASSERT_TRUE(topology) << topology.error().message;
    EXPECT_TRUE(ids.insert(topology->id).second) << other;
  }
}

TEST(TopologyFile, TakesTheFirstNodesByNameAsKeepersWhenNoneAreNamed) {
  for (const auto& [nodes, keepers] : {std::pair{1, 1u}, {2, 1u}, {3, 3u}, {4, 3u}, {5, 5u}, {9, 5u}}) {
    std::string text = "[cluster]\nname = \"c\"\n[[shard]]\nname = \"s\"\nprimary = \"n1\"\n";
    for (int i = 1; i <= nodes; ++i) {
      text +=
          "[[node]]\nname = \"n" + std::to_string(i) + "\"\nhost = \"127.0.0." + std::to_string(i) + "\"\n";
    }
    const Result<Topology> topology = parse_topology(text, "f");
    ASSERT_TRUE(topology) << topology.error().message;
    ASSERT_EQ(topology->keepers.size(), keepers);
    for (std::uint32_t i = 0; i < keepers; ++i) EXPECT_EQ(topology->keepers[i].node, NodeId{i + 1});
  }
}

TEST(TopologyFile, TakesPortsAndEveryKindOfAddress) {
  const Result<Topology> topology = parse_topology(R"(
[cluster]
name = "c"
[[node]]
name = "a"
host = "0:0::1"
http = 1
rpc = 65535
[[node]]
name = "b"
host = "10.0.0.7"
[[shard]]
name = "s"
primary = "a"
)",
                                                   "f");
  ASSERT_TRUE(topology) << topology.error().message;
  EXPECT_EQ(topology->nodes[0].http, "[::1]:1");
  EXPECT_EQ(topology->nodes[0].rpc, "[::1]:65535");
  EXPECT_EQ(topology->nodes[0].watch, "[::1]:7004");
  EXPECT_EQ(topology->nodes[1].http, "10.0.0.7:8080");
}

/// A sound file, line by line; each case replaces one line (0: appends one) and expects one error.
const std::vector<std::string> kSound = {
    "[cluster]",                        // 1
    "name = \"c\"",                     // 2
    "keepers = [\"a\", \"b\", \"d\"]",  // 3
    "[[node]]",                         // 4
    "name = \"a\"",                     // 5
    "host = \"127.0.0.2\"",             // 6
    "http = 8081",                      // 7
    "[[node]]",                         // 8
    "name = \"b\"",                     // 9
    "host = \"127.0.0.3\"",             // 10
    "[[node]]",                         // 11
    "name = \"d\"",                     // 12
    "host = \"127.0.0.4\"",             // 13
    "[[shard]]",                        // 14
    "name = \"s\"",                     // 15
    "primary = \"a\"",                  // 16
    "replicas = [\"b\", \"d\"]",        // 17
    "weight = 2",                       // 18
};

std::string sound_but(std::size_t line, const std::string& text) {
  std::string out;
  for (std::size_t i = 1; i <= kSound.size(); ++i) out += (i == line ? text : kSound[i - 1]) + "\n";
  return line == 0 ? out + text + "\n" : out;
}

struct Case {
  std::size_t line;  // replaced
  std::string text;  // by this
  std::string at;    // "line:column" of the error; "line:" where the column is toml++'s affair
  std::string phrase;
};

void PrintTo(const Case& bad, std::ostream* out) {
  *out << "line " << bad.line << ": " << testing::PrintToString(bad.text);
}

class TopologyFileErrors : public testing::TestWithParam<Case> {};

TEST_P(TopologyFileErrors, NameThePlaceAndWhatIsAllowed) {
  const Case& bad = GetParam();
  const Result<Topology> topology = parse_topology(sound_but(bad.line, bad.text), "my.toml");
  ASSERT_FALSE(topology) << bad.text;
  EXPECT_EQ(topology.error().code, Errc::bad_request);
  const std::string place = "my.toml:" + bad.at + (bad.at.ends_with(':') ? "" : ": ");
  EXPECT_TRUE(topology.error().message.starts_with(place)) << topology.error().message;
  EXPECT_NE(topology.error().message.find(bad.phrase), std::string::npos) << topology.error().message;
}

const std::string kSixteenNines = "9999999999999999";

INSTANTIATE_TEST_SUITE_P(
    Keys, TopologyFileErrors,
    testing::Values(
        Case{0, "colour = 1", "19:1",
             "unknown key \"colour\" in [[shard]]; allowed are name, primary, replicas, weight, store"},
        Case{0, "[extra]", "19:2", "unknown key \"extra\" in the file; allowed are cluster, node, shard"},
        Case{7, "htp = 8081", "7:1",
             "unknown key \"htp\" in [[node]]; allowed are name, host, http, rpc, events, peer, watch"},
        Case{3, "keeper = []", "3:1",
             "unknown key \"keeper\" in [cluster]; allowed are name, keepers, failover"},
        Case{7, "http.port = 1", "7:1", "http must be a whole number from 1 to 65535, not a table"},
        Case{7, "\"a\\u0007b\" = 1", "7:1", "unknown key \"a?b\""},
        // A misspelt key is reported, not that the right one is missing.
        Case{5, "nmae = \"a\"", "5:1", "unknown key \"nmae\""},
        Case{4, "[[nodes]]", "4:3", "unknown key \"nodes\""},
        Case{2, "", "1:1", "[cluster] has no name; it must have one"},
        Case{5, "", "4:1", "[[node]] has no name"}, Case{6, "", "4:1", "[[node]] has no host"},
        Case{15, "", "14:1", "[[shard]] has no name"}, Case{16, "", "14:1", "[[shard]] has no primary"}));

INSTANTIATE_TEST_SUITE_P(
    Types, TopologyFileErrors,
    testing::Values(
        Case{2, "name = 7", "2:8", "name must be a name in quotes, not a whole number"},
        Case{3, "keepers = \"a\"", "3:11", "keepers must be an array of names, not a string"},
        Case{3, "keepers = [\"a\", 2, \"b\"]", "3:17", "keepers must hold names only, not a whole number"},
        Case{6, "host = 127.0", "6:8", "host must be an address in quotes, not a number with a fraction"},
        Case{6, "host = [\"127.0.0.2\"]", "6:8", "not an array"},
        Case{7, "http = \"8081\"", "7:8", "http must be a whole number from 1 to 65535, not a string"},
        Case{7, "http = 8081.0", "7:8", "not a number with a fraction"},
        Case{7, "http = true", "7:8", "not true or false"},
        Case{7, "http = 1979-05-27", "7:8", "not a date or time"},
        Case{17, "replicas = [[\"b\"]]", "17:13", "replicas must hold names only, not an array"},
        Case{18, "weight = {a = 1}", "18:10", "weight must be a whole number from 1 to 1000, not a table"}));

INSTANTIATE_TEST_SUITE_P(
    Ranges, TopologyFileErrors,
    testing::Values(
        Case{7, "http = 0", "7:8", "from 1 to 65535, not 0"}, Case{7, "http = -1", "7:8", "not -1"},
        Case{7, "http = 65536", "7:8", "not 65536"},
        Case{7, "http = " + kSixteenNines, "7:8", "not " + kSixteenNines},
        Case{7, "http = " + kSixteenNines + kSixteenNines, "7:40", "not representable"},
        Case{18, "weight = 0", "18:10", "from 1 to 1000, not 0"},
        Case{18, "weight = 1001", "18:10", "not 1001"},
        Case{18, "store = \"disk\"", "18:9", "store must be \"lmdb\" or \"memory\", not \"disk\""},
        Case{3, "failover = \"slow\"", "3:12", "failover must be \"standard\" or \"fast\", not \"slow\""},
        Case{3, "failover = 1", "3:12", "failover must be \"standard\" or \"fast\", not a whole number"},
        Case{18, "store = 1", "18:9", "store must be \"lmdb\" or \"memory\", not a whole number"},
        Case{2, "name = \"\"", "2:8", "\"\" is no name; a name has 1 to 63 of a-z, 0-9 and '-'"},
        Case{5, "name = \"Delhi\"", "5:8", "\"Delhi\" is no name"},
        Case{5, "name = \"-a\"", "5:8", "\"-a\" is no name"},
        Case{5, "name = \"a/../b\"", "5:8", "is no name"},
        Case{5, "name = \"" + std::string(64, 'a') + "\"", "5:8", "is no name"},
        Case{15, "name = \"s s\"", "15:8", "\"s s\" is no name"},
        Case{16, "primary = \"\"", "16:11", "is no name"},
        Case{17, "replicas = [\"b\", \"D\"]", "17:18", "\"D\" is no name"},
        Case{6, "host = \"127.0.0.256\"", "6:8", "host = \"127.0.0.256\" is not an IPv4 or IPv6 address"},
        Case{6, "host = \"0.0.0.0\"", "6:8", "is not an address that other nodes can reach"},
        Case{6, "host = \"127.0.0.2:80\"", "6:8", "is not an IPv4 or IPv6 address"},
        Case{6, "host = \"\"", "6:8", "is not an IPv4 or IPv6 address"},
        // A node could not listen there: names are not looked up.
        Case{6, "host = \"localhost\"", "6:8",
             "host = \"localhost\" is a hostname; write the IPv4 or IPv6 address"},
        Case{10, "host = \"B.Example.com\"", "10:8", "is a hostname"}));

INSTANTIATE_TEST_SUITE_P(
    References, TopologyFileErrors,
    testing::Values(
        Case{9, "name = \"a\"", "9:8", "node name \"a\" is here twice; first on line 5"},
        Case{10, "host = \"127.0.0.2\"", "10:8", "address \"127.0.0.2:7001\" is here twice; first on line 6"},
        Case{7, "http = 7001", "7:8", "address \"127.0.0.2:7001\" is here twice"},
        Case{0, "[[shard]]\nname = \"s\"\nprimary = \"b\"", "20:8",
             "shard name \"s\" is here twice; first on line 15"},
        Case{16, "primary = \"x\"", "16:11", "shard \"s\": there is no node \"x\" in this file"},
        Case{17, "replicas = [\"b\", \"x\"]", "17:18", "there is no node \"x\""},
        Case{17, "replicas = [\"a\"]", "17:13", "shard \"s\": node \"a\" is here twice; first on line 16"},
        Case{17, "replicas = [\"b\", \"b\"]", "17:18", "node \"b\" is here twice"},
        Case{3, "keepers = []", "3:11", "keepers must be 1, 3 or 5 nodes, not 0"},
        Case{3, "keepers = [\"a\", \"b\"]", "3:11", "keepers must be 1, 3 or 5 nodes, not 2"},
        Case{3, "keepers = [\"a\", \"b\", \"x\"]", "3:22", "keepers: there is no node \"x\""},
        Case{3, "keepers = [\"a\", \"b\", \"a\"]", "3:22", "keepers: node \"a\" is here twice"}));

INSTANTIATE_TEST_SUITE_P(Syntax, TopologyFileErrors,
                         testing::Values(Case{2, "name = \"c", "2:10", "string"}, Case{2, "name", "2:5", "="},
                                         Case{5, "name = \"a\"\nname = \"b\"", "6:", "redefine"},
                                         Case{0, "[cluster]", "19:", "redefine"},
                                         Case{0, "[[cluster]]", "19:", "redefine"},
                                         Case{5, "name = \"\xff\"", "5:", "utf-8"}));

TEST(TopologyFile, MustHaveItsThreeParts) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "f:1:1: the file has no [cluster] table"},
      {"[cluster]\nname = \"c\"\n", "f:1:1: the file has no [[node]]; it must have 1 to 1024"},
      {"[cluster]\nname = \"c\"\n[[node]]\nname = \"a\"\nhost = \"::1\"\n",
       "f:1:1: the file has no [[shard]]"},
      {"cluster = 1\n", "f:1:11: cluster must be a table, [cluster], not a whole number"},
      {"[[cluster]]\nname = \"c\"\n", "f:1:1: cluster must be a table, [cluster], not an array of tables"},
      {"node = []\n", "f:1:8: node must be an array of tables, [[node]], not an array"},
      {"[node]\nname = \"a\"\n", "f:1:1: node must be an array of tables, [[node]], not a table"},
      {"shard = \"s\"\n", "f:1:9: shard must be an array of tables, [[shard]], not a string"},
  };
  for (const auto& [text, message] : cases) {
    const Result<Topology> topology = parse_topology(text, "f");
    ASSERT_FALSE(topology) << message;
    EXPECT_TRUE(topology.error().message.starts_with(message)) << topology.error().message;
  }
}

/// `nodes` nodes, and a shard on each of the first `shards`.
std::string file_of(std::size_t nodes, std::size_t shards) {
  std::string text = "[cluster]\nname = \"c\"\n";
  for (std::size_t i = 0; i < nodes; ++i) {
    text += "[[node]]\nname = \"n" + std::to_string(i) + "\"\nhost = \"10.0." + std::to_string(i / 256) +
            "." + std::to_string(i % 256) + "\"\n";
  }
  for (std::size_t i = 0; i < shards; ++i) {
    text += "[[shard]]\nname = \"s" + std::to_string(i) + "\"\nprimary = \"n0\"\n";
  }
  return text;
}

TEST(TopologyFile, HasLimitsForNodesShardsAndReplicas) {
  EXPECT_TRUE(parse_topology(file_of(kMaxNodes, kMaxShards), "f"));
  const Result<Topology> nodes = parse_topology(file_of(kMaxNodes + 1, 1), "f");
  ASSERT_FALSE(nodes);
  EXPECT_EQ(nodes.error().message, "f:3075:1: more than 1024 [[node]]");
  const Result<Topology> shards = parse_topology(file_of(1, kMaxShards + 1), "f");
  ASSERT_FALSE(shards);
  EXPECT_EQ(shards.error().message, "f:3078:1: more than 1024 [[shard]]");

  std::string replicas = "replicas = [";
  for (std::size_t i = 1; i <= kMaxReplicas; ++i) replicas += "\"n" + std::to_string(i) + "\", ";
  EXPECT_TRUE(parse_topology(file_of(20, 1) + replicas + "]\n", "f"));
  const Result<Topology> many = parse_topology(file_of(20, 1) + replicas + "\"n19\"]\n", "f");
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().message, "f:66:12: replicas: 17 are too many; a shard has at most 16");
}

TEST(TopologyFile, RefusesKeysThatNestUntilTheStackOverflows) {
  std::string text = "a";
  for (int i = 0; i < 500'000; ++i) text += ".a";
  const Result<Topology> dots = parse_topology(text + " = 1\n", "f");
  ASSERT_FALSE(dots);
  EXPECT_EQ(dots.error().code, Errc::bad_request);
  EXPECT_FALSE(parse_topology("a = " + std::string(500'000, '['), "f"));
  std::string deepest = "a";
  for (int i = 0; i < 10'000; ++i) deepest += ".a";
  EXPECT_FALSE(parse_topology(deepest + " = 1\n", "f"));
}

TEST(TopologyFile, SurvivesAnyMutation) {
  const std::string india = read(kIndia);
  EXPECT_TRUE(rc::check([&india] {
    std::string text = india;
    const auto changes = *rc::gen::inRange(1, 5);
    for (int i = 0; i < changes; ++i) {
      const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
      switch (*rc::gen::inRange(0, 3)) {
        case 0:
          text[at] = *rc::gen::arbitrary<char>();
          break;
        case 1:
          text.erase(at, *rc::gen::inRange<std::size_t>(1, 40));
          break;
        default:
          text.insert(at, text.substr(*rc::gen::inRange<std::size_t>(0, text.size()), 30));
          break;
      }
      RC_PRE(!text.empty());
    }
    const Result<Topology> topology = parse_topology(text, "f");
    if (topology) RC_ASSERT(check(*topology).has_value());
    if (!topology) RC_ASSERT(topology.error().message.starts_with("f:"));
  }));
}

TEST(TopologyFile, SaysWhyAFileCannotBeRead) {
  const Result<Topology> missing = load_topology("/nonexistent/topology.toml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::io_error);
  EXPECT_EQ(missing.error().message, "/nonexistent/topology.toml: cannot be read: No such file or directory");
  const Result<Topology> folder = load_topology(TOPOLOGY_FOLDER);
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code, Errc::io_error);
  EXPECT_NE(folder.error().message.find("Is a directory"), std::string::npos) << folder.error().message;
}

TEST(TopologyFile, RefusesAFileAboveOneMebibyte) {
  const std::string path = testing::TempDir() + "/large-" + std::to_string(getpid()) + ".toml";
  std::string text = read(kIndia) + "#";
  text += std::string(kMaxTopologyFileBytes - text.size(), 'x');
  std::ofstream(path) << text;
  EXPECT_TRUE(load_topology(path));
  std::ofstream(path) << text << "x";
  const Result<Topology> large = load_topology(path);
  std::filesystem::remove(path);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Errc::too_large);
}

}  // namespace
}  // namespace dkv
