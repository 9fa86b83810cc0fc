#include "tests/e2e/cluster.hpp"

#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>
#include <random>
#include <signal.h>
#include <stdexcept>
#include <unistd.h>

namespace dkv::e2e {
namespace {

// The last part of each node's address in india.toml.
const std::map<std::string, int>& hosts() {
  static const std::map<std::string, int> numbers = {
      {"delhi", 2},          {"mumbai", 3},          {"hyderabad", 4},          {"chennai", 5},
      {"delhi-replica", 22}, {"mumbai-replica", 33}, {"hyderabad-replica", 44}, {"chennai-replica", 55}};
  return numbers;
}

std::string with_network(std::string text, const std::string& network) {
  const std::string original = "127.0.0.";
  for (std::size_t at = text.find(original); at != std::string::npos;
       at = text.find(original, at + network.size())) {
    text.replace(at, original.size(), network);
  }
  return text;
}

std::string last_lines(const std::string& text, int count) {
  std::size_t at = text.size();
  while (count-- >= 0 && at != 0 && at != std::string::npos) at = text.rfind('\n', at - 1);
  return at == 0 || at == std::string::npos ? text : text.substr(at + 1);
}

}  // namespace

std::string program(const std::string& name) { return std::string(DKV_PROGRAMS) + "/" + name; }

std::string next_network() {
  static int count = 0;
  const int number = static_cast<int>(::getpid()) + 7919 * count++;
  return "127." + std::to_string(1 + (number >> 8) % 254) + "." + std::to_string(number & 255) + ".";
}

Layout india() {
  const std::string network = next_network();
  Layout layout = {with_network(read_file(DKV_SOURCE "/topology/india.toml"), network), {}};
  for (const auto& [node, number] : hosts()) layout.hosts[node] = network + std::to_string(number);
  return layout;
}

Layout city() {
  const std::string network = next_network();
  Layout layout;
  layout.topology = "[cluster]\nname = \"city\"\nkeepers = [\"witness\"]\n";
  int number = 2;
  for (const std::string& node : kCity) {
    layout.hosts[node] = network + std::to_string(number++);
    layout.topology += "[[node]]\nname = \"" + node + "\"\nhost = \"" + layout.hosts[node] + "\"\n";
  }
  layout.topology += "[[shard]]\nname = \"delhi\"\nprimary = \"delhi\"\nreplicas = [\"delhi-replica\"]\n";
  return layout;
}

std::vector<std::string> all_nodes() {
  std::vector<std::string> names = kCities;
  for (const std::string& city : kCities) names.push_back(city + "-replica");
  return names;
}

std::uint64_t chosen_seed() {
  const char* given = std::getenv("DISTRIKV_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

Cluster::Cluster(Layout layout) : hosts_(std::move(layout.hosts)) {
  write_file(topology_file(), layout.topology);
  for (const auto& [node, host] : hosts_) std::filesystem::create_directories(data(node));
}

Cluster::~Cluster() {
  end_all();
  if (!testing::Test::HasFailure()) return;
  for (const auto& [node, host] : hosts_) {
    const std::string text = read_file(log(node));
    if (!text.empty())
      std::fprintf(stderr, "--- end of the log of %s\n%s\n", node.c_str(), last_lines(text, 25).c_str());
  }
}

std::vector<std::string> Cluster::command(const std::string& node) const {
  std::vector<std::string> command = launcher(node);
  for (const std::string& argument :
       {program("distrikvd"), std::string("--topology"), topology_file().string(), std::string("--node"),
        node, std::string("--data"), data(node).string()})
    command.push_back(argument);
  command.insert(command.end(), options_.begin(), options_.end());
  return command;
}

void Cluster::set_shard_key(const std::string& shard, const std::string& line) {
  std::string text = read_file(topology_file());
  const std::string name = "[[shard]]\nname = \"" + shard + "\"\n";
  const std::size_t at = text.find(name);
  if (at == std::string::npos) throw std::runtime_error("no shard " + shard + " in the topology file");
  write_file(topology_file(), text.insert(at + name.size(), line + "\n"));
}

void Cluster::start(const std::vector<std::string>& nodes) {
  for (const std::string& node : nodes) {
    processes_.erase(node);
    processes_.emplace(node, Process(command(node), log(node)));
  }
}

bool Cluster::wait_until_ready(const std::vector<std::string>& nodes) {
  for (const std::string& node : nodes) {
    bool ready = false;
    eventually(kReadyTimeout, [&] {
      ready = HttpClient(2s).once(http(node), "GET", "/readyz").status == 200;
      return ready || !is_running(node);
    });
    if (!ready) {
      std::fprintf(stderr, "%s is not ready%s\n", node.c_str(), is_running(node) ? "" : ": it has ended");
      return false;
    }
  }
  return true;
}

bool Cluster::wait_until_level(const std::string& primary, const std::string& replica,
                               const std::string& shard) const {
  const std::uint64_t head = member_status(primary, shard).at("head");
  const bool level = eventually(kReadyTimeout, [&] {
    const nlohmann::json status = member_status(replica, shard);
    return status.at("ready") == true && status.at("commit") == head && status.at("durable") == head;
  });
  if (!level) std::fprintf(stderr, "%s is not level: %s\n", replica.c_str(), status(replica).dump(1).c_str());
  return level;
}

bool Cluster::start_and_wait(const std::vector<std::string>& nodes) {
  start(nodes);
  return wait_until_ready(nodes);
}

void Cluster::kill(const std::string& node) { processes_.at(node).kill(); }

int Cluster::stop(const std::string& node) {
  Process& process = processes_.at(node);
  process.signal(SIGTERM);
  const int code = process.wait(10s).value_or(-1);
  process.kill();
  return code;
}

bool Cluster::is_running(const std::string& node) {
  const auto found = processes_.find(node);
  return found != processes_.end() && found->second.is_running();
}

void Cluster::wipe(const std::string& node) {
  std::filesystem::remove_all(data(node));
  std::filesystem::create_directories(data(node));
}

nlohmann::json Cluster::status(const std::string& node) const {
  const HttpResponse response = HttpClient().once(http(node), "GET", "/v1/status");
  if (response.status != 200) throw std::runtime_error(node + " gives no status: " + response.body);
  return nlohmann::json::parse(response.body);
}

nlohmann::json Cluster::member_status(const std::string& node) const {
  return status(node).at("members").at(0);
}

nlohmann::json Cluster::member_status(const std::string& node, const std::string& shard) const {
  const nlohmann::json all = status(node);
  for (const nlohmann::json& member : all.at("members")) {
    if (member.at("shard") == shard) return member;
  }
  throw std::runtime_error(node + " has no copy of " + shard);
}

std::string Cluster::wait_for_primary(const std::string& shard) {
  std::string primary;
  const bool found = eventually(kReadyTimeout, [&] {
    for (const auto& [node, host] : hosts_) {
      if (!is_running(node)) continue;
      const HttpResponse response = HttpClient(1s).once(http(node), "GET", "/v1/status");
      const auto answer = nlohmann::json::parse(response.body, nullptr, false);
      if (response.status != 200 || !answer.is_object()) continue;
      for (const nlohmann::json& member : answer.at("members")) {
        if (member.at("shard") == shard && member.at("role") == "primary" && member.at("ready") == true)
          primary = node;
      }
    }
    return !primary.empty();
  });
  if (!found) throw std::runtime_error("nobody leads shard " + shard);
  return primary;
}

std::string Cluster::endpoint(const std::string& node, int port) const {
  return hosts_.at(node) + ":" + std::to_string(port);
}

std::string key_of_shard(const std::string& endpoint, const std::string& shard, const std::string& prefix) {
  HttpClient client;
  for (int i = 0; i < 1000; ++i) {
    std::string key = prefix + std::to_string(i);
    const HttpResponse response = client.once(endpoint, "HEAD", kv_path(key));
    const auto owner = response.headers.find("x-shard");
    if (owner != response.headers.end() && owner->second == shard) return key;
  }
  throw std::runtime_error("no key of shard " + shard + " found through " + endpoint);
}

}  // namespace dkv::e2e
