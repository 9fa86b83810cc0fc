#include "tests/e2e/shard_test.hpp"

namespace dkv::e2e {

namespace {
// For what TCP has to send again: it waits up to about as long as a cut has lasted already.
constexpr auto kHealTimeout = 60s;
}  // namespace

void ShardTest::start(const std::vector<std::string>& nodes, int keys) {
  ASSERT_TRUE(cluster().start_and_wait(nodes));
  ASSERT_TRUE(becomes_in_sync());
  for (int i = 0; i < keys; ++i)
    keys_.push_back(key_of_shard(cluster().http(door_), shard_, "k" + std::to_string(i) + "-"));
}

bool ShardTest::is_in_sync() {
  const HttpResponse response = HttpClient(2s).once(cluster().http(door_), "GET", "/v1/topology");
  const auto topology = nlohmann::json::parse(response.body, nullptr, false);
  if (response.status != 200 || !topology.is_object()) return false;
  for (const nlohmann::json& shard : topology.at("shards")) {
    if (shard.at("name") == shard_) return !shard.at("in_sync").empty();
  }
  return false;
}

bool ShardTest::becomes_in_sync() {
  return eventually(kHealTimeout, [this] { return is_in_sync(); });
}

int ShardTest::put(const std::string& key, const std::string& value) {
  int status = 0;
  eventually(kHealTimeout, [&] {
    status = HttpClient(5s).request(cluster().http(door_), "PUT", kv_path(key), value).status;
    return status != 503 && status != HttpResponse::kNotSent;
  });
  return status;
}

int ShardTest::remove(const std::string& key) {
  return HttpClient(5s).request(cluster().http(door_), "DELETE", kv_path(key)).status;
}

HttpResponse ShardTest::get(const std::string& key) {
  HttpResponse response;
  eventually(kHealTimeout, [&] {
    response = HttpClient(5s).request(cluster().http(door_), "GET", kv_path(key));
    return response.status == 200 || response.status == 404;
  });
  return response;
}

HttpResponse ShardTest::read(const std::string& node, const std::string& key) {
  return HttpClient(5s).once(cluster().http(node), "GET", kv_path(key) + "?read=replica");
}

void ShardTest::write_all(const std::string& prefix) {
  for (const std::string& key : keys_) {
    const int status = put(key, prefix + key + padding_);
    ASSERT_TRUE(status == 200 || status == 201) << key << ": " << status;
  }
}

void ShardTest::expect_all(const std::string& prefix) {
  for (const std::string& key : keys_) {
    const HttpResponse got = get(key);
    ASSERT_EQ(got.status, 200) << key << got.body;
    ASSERT_TRUE(got.body == prefix + key + padding_) << key;
  }
}

void ShardTest::expect_on_both(const std::string& prefix) {
  ASSERT_TRUE(becomes_in_sync());
  ASSERT_TRUE(cluster().wait_until_ready(members_));
  EXPECT_TRUE(cluster().wait_until_level(primary(), replica(), shard_));
  for (const std::string& node : members_) {
    for (const std::string& key : keys_) {
      const HttpResponse got = read(node, key);
      ASSERT_EQ(got.status, 200) << node << " " << key << got.body;
      ASSERT_TRUE(got.body == prefix + key + padding_) << node << " " << key;
    }
  }
}

bool ShardTest::has_logged(const std::string& node, const std::string& text) {
  return read_file(cluster().log(node)).find(text) != std::string::npos;
}

}  // namespace dkv::e2e
