// What a user sees of the four-city cluster over HTTP, from any node.
#include <algorithm>
#include <atomic>
#include <gtest/gtest.h>
#include <set>
#include <thread>

#include "tests/e2e/cluster.hpp"

namespace dkv::e2e {
namespace {

class FourCityCluster : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(cluster_.start_and_wait(all_nodes())); }

  std::string url(const std::string& node, const std::string& target) const {
    return "http://" + cluster_.http(node) + target;
  }

  Cluster cluster_;
  HttpClient client_;
};

TEST_F(FourCityCluster, AnyNodeTakesAnyKey) {
  const std::vector<std::string> nodes = all_nodes();
  std::set<std::string> shards;
  for (std::size_t i = 0; i < 200; ++i) {
    const std::string key = "any-" + std::to_string(i);
    const auto at = [&](std::size_t offset) { return cluster_.http(nodes[(i + offset) % nodes.size()]); };
    const HttpResponse put = client_.request(at(0), "PUT", kv_path(key), "value " + key);
    ASSERT_EQ(put.status, 201) << put.body;
    ASSERT_FALSE(put.headers.at("etag").empty());
    const HttpResponse get = client_.request(at(3), "GET", kv_path(key));
    ASSERT_EQ(get.status, 200) << get.body;
    EXPECT_EQ(get.body, "value " + key);
    EXPECT_EQ(get.headers.at("etag"), put.headers.at("etag"));
    shards.insert(get.headers.at("x-shard"));
    EXPECT_EQ(client_.request(at(5), "PUT", kv_path(key), "again").status, 200);
    EXPECT_EQ(client_.request(at(6), "DELETE", kv_path(key)).status, 204);
    EXPECT_EQ(client_.request(at(1), "GET", kv_path(key)).status, 404);
    EXPECT_EQ(client_.request(at(2), "DELETE", kv_path(key)).status, 404);
  }
  EXPECT_EQ(shards, std::set<std::string>(kCities.begin(), kCities.end()));
}

TEST_F(FourCityCluster, ARedirectNamesTheShardAndGoesStraightToItsPrimary) {
  for (const std::string& node : all_nodes()) {
    int redirected = 0;
    for (int i = 0; i < 40; ++i) {
      const std::string target = kv_path("away-" + std::to_string(i)) + "?ack=committed";
      const HttpResponse first = client_.once(cluster_.http(node), "PUT", target, "value");
      if (first.status != 307) {
        ASSERT_TRUE(first.status == 200 || first.status == 201) << node << ": " << first.status << first.body;
        continue;
      }
      ++redirected;
      const std::string shard = first.headers.at("x-shard");
      EXPECT_EQ(first.headers.at("location"), url(shard, target)) << "a shard has the name of its city";
      const HttpResponse second = client_.once(cluster_.http(shard), "PUT", target, "value");
      EXPECT_TRUE(second.status == 200 || second.status == 201) << second.status << second.body;
    }
    EXPECT_GT(redirected, 0) << node;
  }
}

TEST_F(FourCityCluster, CurlFollowsForTheSimpleForm) {
  const std::vector<std::string> nodes = all_nodes();
  for (std::size_t i = 0; i < 16; ++i) {
    const std::string key = "curl-" + std::to_string(i);
    const auto curl = [&](std::size_t offset, const std::string& target) {
      return run({"curl", "-sS", "-L", "-w", " %{http_code}",
                  url(nodes[(i + offset) % nodes.size()], target)})
          .out;
    };
    EXPECT_EQ(curl(0, "/set?key=" + key + "&value=a%20b%2Bc"), "OK 200");
    EXPECT_EQ(curl(1, "/get?key=" + key), "a b+c 200");
    EXPECT_EQ(curl(2, "/delete?key=" + key), "OK 200");
    EXPECT_NE(curl(3, "/get?key=" + key).find(" 404"), std::string::npos);
  }
}

TEST_F(FourCityCluster, CurlFollowsWithAnyMethodAndItsBody) {
  std::string body;
  for (int i = 0; i < 1 << 20; ++i) body += static_cast<char>(i * 31 + (i >> 8));
  write_file(cluster_.folder() / "body", body);
  const std::string from_file = "@" + (cluster_.folder() / "body").string();
  for (const std::string& node : all_nodes()) {
    const std::string target = url(node, kv_path("big-" + node));
    const Finished put =
        run({"curl", "-sS", "-L", "-X", "PUT", "--data-binary", from_file, "-w", "%{http_code}", target});
    EXPECT_EQ(put.out, "201") << put.err;
    EXPECT_EQ(run({"curl", "-sS", "-L", target}).out, body) << node;
    const Finished head = run({"curl", "-sS", "-L", "-I", target});
    EXPECT_NE(head.out.find("Content-Length: 1048576"), std::string::npos) << head.out;
    EXPECT_EQ(run({"curl", "-sS", "-L", "-X", "DELETE", "-w", "%{http_code}", target}).out, "204");
  }
}

/// Who compares and sets, or counts, loses nothing, whichever door each comes through.
TEST_F(FourCityCluster, ConditionsAndCountersAreDecidedByThePrimary) {
  const std::vector<std::string> nodes = all_nodes();
  constexpr int kRounds = 25;
  std::atomic<int> created = 0;
  std::vector<std::thread> threads;
  for (const std::string& node : nodes) {
    threads.emplace_back([&, door = cluster_.http(node)] {
      HttpClient client;
      for (int i = 0; i < kRounds; ++i) {
        const std::string once = kv_path("once-" + std::to_string(i));
        const int status = client.request(door, "PUT", once, node, {{"If-None-Match", "*"}}).status;
        EXPECT_TRUE(status == 201 || status == 412) << status;
        created += status == 201;
        EXPECT_EQ(client.request(door, "POST", kv_path("count") + "/incr?by=2").status, 200);
        for (bool done = false; !done;) {  // by hand what the line above does
          const HttpResponse read = client.request(door, "GET", kv_path("cas"));
          const bool is_new = read.status == 404;
          const std::string next = std::to_string(is_new ? 1 : std::stoi(read.body) + 1);
          const HttpHeaders condition = is_new ? HttpHeaders{{"If-None-Match", "*"}}
                                               : HttpHeaders{{"If-Match", read.headers.at("etag")}};
          const HttpResponse put = client.request(door, "PUT", kv_path("cas"), next, condition);
          done = put.status == (is_new ? 201 : 200);
          ASSERT_TRUE(done || put.status == 412) << put.status << put.body;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string door = cluster_.http(nodes[0]);
  EXPECT_EQ(created, kRounds);
  const auto total = kRounds * static_cast<int>(nodes.size());
  EXPECT_EQ(client_.request(door, "GET", kv_path("count")).body, std::to_string(2 * total));
  EXPECT_EQ(client_.request(door, "GET", kv_path("cas")).body, std::to_string(total));
}

TEST_F(FourCityCluster, ABatchGoesToAllShardsFromAnyNode) {
  nlohmann::json puts, gets, atomic;
  for (int i = 0; i < 50; ++i) {
    const std::string key = "batch-" + std::to_string(i);
    puts["operations"].push_back({{"op", "put"}, {"key", key}, {"value", key}});
    gets["operations"].push_back({{"op", "get"}, {"key", key}});
    atomic["operations"].push_back({{"op", "put"}, {"key", "{tag}" + key}, {"value", key}});
  }
  const auto post = [&](const std::string& node, const nlohmann::json& batch) {
    const HttpResponse response = client_.once(cluster_.http(node), "POST", "/v1/batch", batch.dump());
    auto json = nlohmann::json::parse(response.body);
    json["status"] = response.status;
    return json;
  };
  EXPECT_EQ(post("delhi-replica", puts)["done"], true);
  const auto got = post("chennai", gets);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(got["results"][i]["value"], "batch-" + std::to_string(i));

  atomic["atomic"] = true;
  EXPECT_EQ(post("mumbai", atomic)["status"], 200);
  atomic["operations"].push_back(
      {{"op", "put"}, {"key", "{tag}batch-0"}, {"value", "new"}, {"if_none_match", "*"}});
  atomic["operations"].push_back({{"op", "put"}, {"key", "{tag}more"}, {"value", "new"}});
  const auto refused = post("hyderabad", atomic);
  EXPECT_EQ(refused["status"], 412);
  EXPECT_EQ(refused["results"][0]["error"]["code"], "aborted");
  EXPECT_EQ(client_.request(cluster_.http("delhi"), "GET", kv_path("{tag}batch-0")).body, "batch-0");
  EXPECT_EQ(client_.request(cluster_.http("delhi"), "GET", kv_path("{tag}more")).status, 404);
  puts["atomic"] = true;
  EXPECT_EQ(post("delhi", puts)["status"], 400) << "of several slots";
}

TEST_F(FourCityCluster, AScanGoesThroughAllShardsInOrder) {
  std::vector<std::string> keys;
  nlohmann::json batch;
  for (int i = 0; i < 500; ++i) {
    keys.push_back("scan/" + std::to_string(i));
    batch["operations"].push_back({{"op", "put"}, {"key", keys.back()}, {"value", std::to_string(i)}});
  }
  batch["operations"].push_back({{"op", "put"}, {"key", "scam"}, {"value", ""}});
  batch["operations"].push_back({{"op", "put"}, {"key", "scar"}, {"value", ""}});
  ASSERT_EQ(client_.once(cluster_.http("delhi"), "POST", "/v1/batch", batch.dump()).status, 200);
  std::sort(keys.begin(), keys.end());

  const std::vector<std::string> nodes = all_nodes();
  const auto scan = [&](const std::string& query) {
    std::vector<std::string> seen;
    std::string cursor;
    for (std::size_t page = 0; page < 100; ++page) {
      // Each page from another node.
      const HttpResponse response =
          client_.once(cluster_.http(nodes[page % nodes.size()]), "GET", "/v1/kv?" + query + cursor);
      EXPECT_EQ(response.status, 200) << response.body;
      const auto json = nlohmann::json::parse(response.body);
      for (const auto& item : json.at("items")) seen.push_back(item.at("key"));
      if (!json.contains("cursor")) return seen;
      cursor = "&cursor=" + json.at("cursor").get<std::string>();
    }
    ADD_FAILURE() << "no end of " << query;
    return seen;
  };
  EXPECT_EQ(scan("prefix=scan/&limit=70"), keys);
  EXPECT_EQ(scan("start=scan/&end=scan0&limit=1000&keys_only"), keys);
  std::reverse(keys.begin(), keys.end());
  EXPECT_EQ(scan("prefix=scan/&limit=70&reverse=true"), keys);
  EXPECT_TRUE(
      eventually(10s, [&] { return scan("prefix=scan/&limit=1000&reverse=true&read=replica") == keys; }));
}

TEST_F(FourCityCluster, TakesAnyBytesAsKeyAndValue) {
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes += static_cast<char>(i);
  const std::vector<std::string> keys = {
      all_bytes, "a/b//c", "..", "/", "%", "{tag}x", std::string(480, '\xff'), std::string(1, '\0'),
      "\n\r\n",  "?#&="};
  for (const std::string& key : keys) {
    for (const std::string& value : {all_bytes, std::string(), std::string(1, '\0')}) {
      const HttpResponse put = client_.request(cluster_.http("mumbai-replica"), "PUT", kv_path(key), value);
      ASSERT_TRUE(put.status == 200 || put.status == 201) << percent_encode(key) << put.status << put.body;
      const HttpResponse get = client_.request(cluster_.http("delhi"), "GET", kv_path(key));
      EXPECT_EQ(get.status, 200);
      EXPECT_EQ(get.body, value) << percent_encode(key);
      EXPECT_EQ(get.headers.at("content-length"), std::to_string(value.size()));
    }
  }
}

TEST_F(FourCityCluster, RefusesKeysAndValuesOverTheLimitAndStoresNothing) {
  const std::string node = cluster_.http("delhi");
  EXPECT_EQ(client_.request(node, "PUT", kv_path(std::string(481, 'k')), "v").status, 413);
  EXPECT_EQ(client_.request(node, "PUT", "/v1/kv/", "v").status, 400);
  EXPECT_EQ(client_.request(node, "GET", "/get?key=%zz").status, 400);

  const std::string too_large((std::size_t{16} << 20) + 1, 'v');
  const Finished curl = run({"curl", "-sS", "-L", "-X", "PUT", "--data-binary", "@-", "-w", " %{http_code}",
                             url("delhi", kv_path("large"))},
                            {.input = too_large, .environment = {}});
  EXPECT_EQ(curl.code, 0) << curl.err;
  EXPECT_NE(curl.out.find(" 413"), std::string::npos) << curl.out;
  EXPECT_EQ(client_.request(node, "GET", kv_path("large")).status, 404);
}

TEST_F(FourCityCluster, AReplicaAnswersReadsOfItsOwnShardAndRedirectsTheRest) {
  const std::string own = key_of_shard(cluster_.http("mumbai"), "delhi", "replica-read-");
  const std::string other = key_of_shard(cluster_.http("delhi"), "mumbai", "replica-read-");
  const std::string replica = cluster_.http("delhi-replica");
  for (const std::string& key : {own, other}) {
    ASSERT_EQ(client_.request(replica, "PUT", kv_path(key), "copied").status, 201);
  }
  HttpResponse local;
  EXPECT_TRUE(eventually(10s, [&] {
    local = client_.once(replica, "GET", kv_path(own) + "?read=replica");
    return local.status == 200;
  })) << local.status;
  EXPECT_EQ(local.body, "copied");
  EXPECT_EQ(client_.once(replica, "GET", kv_path(own)).status, 307)
      << "only ?read=replica may be a little old";
  EXPECT_EQ(client_.once(replica, "PUT", kv_path(own), "x").status, 307);
  const HttpResponse away = client_.once(replica, "GET", kv_path(other) + "?read=replica");
  EXPECT_EQ(away.status, 307);
  EXPECT_EQ(away.headers.at("x-shard"), "mumbai");
}

TEST_F(FourCityCluster, TellsItsHealthTopologyAndStatus) {
  for (const std::string& node : all_nodes()) {
    EXPECT_EQ(client_.once(cluster_.http(node), "GET", "/healthz").status, 200);
    EXPECT_EQ(client_.once(cluster_.http(node), "GET", "/readyz").status, 200);
    const auto topology =
        nlohmann::json::parse(client_.once(cluster_.http(node), "GET", "/v1/topology").body, nullptr, false);
    ASSERT_TRUE(topology.is_object());
    EXPECT_EQ(topology.at("shards").size(), 4U);
    EXPECT_EQ(topology.at("nodes").size(), 8U);
    const nlohmann::json status = cluster_.status(node);
    EXPECT_EQ(status.at("node"), node);
    EXPECT_EQ(status.at("ready"), true);
    const nlohmann::json member = cluster_.member_status(node);
    EXPECT_EQ(member.at("role"), node.find("-replica") == std::string::npos ? "primary" : "replica");
    EXPECT_EQ(member.at("ready"), true);
  }
  EXPECT_EQ(client_.once(cluster_.http("delhi"), "GET", "/no/such/path").status, 404);
  EXPECT_EQ(client_.once(cluster_.http("delhi"), "PATCH", "/v1/kv/a").status, 405);
}

}  // namespace
}  // namespace dkv::e2e
