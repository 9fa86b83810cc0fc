// What each request means: status, headers and bodies, over a real connection.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>

#include "gateway/http/target.hpp"
#include "messages/once.hpp"
#include "tests/gateway/http/fixture.hpp"

namespace dkv::testing {
namespace {

using namespace std::string_literals;
using http::percent_encode_path;

class Api : public ServerTest {
 protected:
  const std::string key = key_of_shard("delhi");
  const std::string path = "/v1/kv/" + key;
  const std::string foreign = key_of_shard("mumbai");

  static std::string code_of(const Response& response) {
    return nlohmann::json::parse(response.body).at("error").at("code");
  }
};

TEST_F(Api, StoresReadsAndDeletesAValue) {
  const auto created = ask("PUT", path, "Ada");
  EXPECT_EQ(created.status, 201);
  EXPECT_EQ(created.header("etag"), "\"4-1\"");
  EXPECT_EQ(created.header("x-shard"), "delhi");
  EXPECT_EQ(created.body, "");
  const auto changed = ask("PUT", path, "Bob");
  EXPECT_EQ(changed.status, 200);
  EXPECT_EQ(changed.header("etag"), "\"4-2\"");
  const auto read = ask("GET", path);
  EXPECT_EQ(read.status, 200);
  EXPECT_EQ(read.body, "Bob");
  EXPECT_EQ(read.header("etag"), "\"4-2\"");
  EXPECT_EQ(read.header("content-type"), "application/octet-stream");
  EXPECT_EQ(read.header("x-shard"), "delhi");
  const auto deleted = ask("DELETE", path);
  EXPECT_EQ(deleted.status, 204);
  EXPECT_EQ(deleted.header("content-length"), "");
  EXPECT_EQ(ask("DELETE", path).status, 404);
  const auto missing = ask("GET", path);
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.header("x-shard"), "delhi");
  EXPECT_EQ(missing.header("content-type"), "application/json");
  EXPECT_EQ(code_of(missing), "not_found");
}

TEST_F(Api, PassesConditionsOn) {
  using Kind = Condition::Kind;
  const auto passed = [&](const std::string& method, const std::string& target, const std::string& field) {
    ask(method, target, method == "PUT" ? "v" : "", field + "\r\n");
    return backend.last().operations.at(0).condition;
  };
  const Condition version{Kind::version, {Epoch{7}, Seq{1042}}};
  EXPECT_EQ(passed("PUT", path, "If-Match: \"7-1042\""), version);
  EXPECT_EQ(passed("DELETE", path, "If-Match: \"7-1042\""), version);
  EXPECT_EQ(passed("PUT", path, "If-Match: *"), Condition{Kind::exists});
  EXPECT_EQ(passed("PUT", path, "If-None-Match: *"), Condition{Kind::missing});
  EXPECT_EQ(passed("GET", "/set?value=1&key=" + key, "If-None-Match: *"), Condition{Kind::missing});
  EXPECT_EQ(passed("POST", "/delete?key=" + key, "If-Match: *"), Condition{Kind::exists});
  EXPECT_EQ(passed("PUT", path, "Accept: *"), Condition{});
}

TEST_F(Api, RefusesConditionsThatSayLessThanAVersion) {
  for (const auto* field :
       {"If-Match: 7-1042", "If-Match: \"7-1042", "If-Match: \"7\"", "If-Match: \"7-1042\", \"7-1043\"",
        "If-Match: W/\"7-1042\"", "If-Match: \"-7-1042\"", "If-Match: \"7-99999999999999999999\"",
        "If-Match:", "If-None-Match: \"7-1042\"", "If-Match: *\r\nIf-None-Match: *"}) {
    EXPECT_EQ(ask("PUT", path, "v", field + "\r\n"s).status, 400) << field;
  }
  EXPECT_EQ(ask("DELETE", path, "", "If-None-Match: *\r\n").status, 400);
  EXPECT_EQ(ask("GET", path, "", "If-Match: *\r\n").status, 400);
  EXPECT_EQ(ask("POST", path + "/incr", "", "If-Match: *\r\n").status, 400);
  EXPECT_EQ(backend.operations(), 0u);
}

TEST_F(Api, GivesAWriteTheNameThatItIsToBeDoneOnceBy) {
  const auto named = [&](const std::string& method, const std::string& target, const std::string& field,
                         const std::string& body = "") {
    EXPECT_LT(ask(method, target, body, field + "\r\n").status, 500);
    const rpc::Request asked = backend.last();
    return OnceId{asked.client_id, asked.atomic ? asked.number : asked.operations.at(0).number};
  };
  const OnceId id = OnceId::of("order-17");
  EXPECT_EQ(named("PUT", path, "Idempotency-Key: order-17", "v"), id);
  EXPECT_EQ(named("PUT", path, "Idempotency-Key: \"order-17\"", "v"), id);
  EXPECT_EQ(named("POST", path + "/incr", "Idempotency-Key: order-17"), id);
  EXPECT_EQ(named("GET", "/set?value=1&key=" + key, "Idempotency-Key: order-17"), id);
  EXPECT_EQ(named("DELETE", path, "Idempotency-Key: order-18"), OnceId::of("order-18"));
  EXPECT_EQ(named("PUT", path, "Accept: *", "v"), OnceId{});
  EXPECT_EQ(named("GET", path, "Idempotency-Key: order-17"), OnceId{});
  const std::string body = R"({"operations":[{"op":"put","key":")" + key + R"(","value":"v"},)" +
                           R"({"op":"delete","key":")" + foreign + R"("}],"atomic":)";
  EXPECT_EQ(named("POST", "/v1/batch", "Idempotency-Key: order-17", body + "true}"), id);
  EXPECT_EQ(named("POST", "/v1/batch", "Idempotency-Key: order-17", body + "false}"), id);
  EXPECT_EQ(backend.last().operations.at(1).number, id.number + 1);
  for (const std::string& wrong : {""s, "\"\""s, std::string(256, 'x')}) {
    const auto refused = ask("PUT", path, "v", "Idempotency-Key: " + wrong + "\r\n");
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(code_of(refused), "bad_request");
  }
  backend.answers_all = OperationResult::failed(Errc::reused, "another write");
  const auto reused = ask("PUT", path, "v", "Idempotency-Key: order-17\r\n");
  EXPECT_EQ(reused.status, 422);
  EXPECT_EQ(code_of(reused), "reused");
}

TEST_F(Api, CarriesASessionFromAnswerToRequest) {
  backend.shows = {3, {{ShardId{1}, {Epoch{7}, Seq{42}}}}};
  const auto begun = ask("PUT", path, "v", "X-Session: new\r\n");
  EXPECT_EQ(begun.header("x-session"), "3;1:7-42");
  EXPECT_EQ(*backend.last().session, Session{});
  backend.refuses_all = Error{Errc::unavailable, "starting"};
  EXPECT_EQ(ask("PUT", path, "v", "X-Session: new\r\n").header("x-session"), "new");  // still
  backend.refuses_all.reset();
  const std::string field = "X-Session: 4;1:7-50,2:1-9\r\n";
  const Session seen{4, {{ShardId{1}, {Epoch{7}, Seq{50}}}, {ShardId{2}, {Epoch{1}, Seq{9}}}}};
  for (const auto* target : {"?read=replica", "-missing"}) {
    const auto read = ask("GET", path + target, "", field);
    EXPECT_EQ(read.header("x-session"), "4;1:7-50,2:1-9");
    EXPECT_EQ(*backend.last().session, seen);
  }
  EXPECT_EQ(ask("GET", "/v1/kv", "", field).header("x-session"), "4;1:7-50,2:1-9");
  EXPECT_EQ(*backend.last_scan.session, seen);
  const std::string body = R"({"operations":[{"op":"get","key":")" + key + R"("}]})";
  EXPECT_EQ(ask("POST", "/v1/batch", body, field).header("x-session"), "4;1:7-50,2:1-9");
  EXPECT_EQ(*backend.last().session, seen);
  EXPECT_EQ(ask("GET", path).header("x-session"), "");
  EXPECT_EQ(backend.last().session, nullptr);
  for (const auto* wrong : {"12", "new;", "4;1:7", "4;1:7-50;"}) {
    for (const auto* target : {"/v1/kv", "/v1/kv/k"})
      EXPECT_EQ(ask("GET", target, "", "X-Session: "s + wrong + "\r\n").status, 400) << wrong;
  }
}

TEST_F(Api, TellsWhatIsThereWhenAConditionFails) {
  auto failed = OperationResult::failed(Errc::condition_failed, "another version");
  backend.answers_all = failed;
  const auto missing = ask("PUT", path, "v", "If-Match: *\r\n");
  EXPECT_EQ(missing.status, 412);
  EXPECT_EQ(code_of(missing), "condition_failed");
  EXPECT_EQ(missing.header("etag"), "");
  EXPECT_EQ(missing.header("x-shard"), "delhi");
  failed.version = {Epoch{7}, Seq{1042}};
  backend.answers_all = failed;
  EXPECT_EQ(ask("DELETE", path, "", "If-Match: \"7-1\"\r\n").header("etag"), "\"7-1042\"");
}

TEST_F(Api, SendsNoValueThatTheReaderHas) {
  ask("PUT", path, "Ada");
  for (const auto& target : {path, "/get?key=" + key}) {
    const auto known = ask("GET", target, "", "If-None-Match: \"4-1\"\r\n");
    EXPECT_EQ(known.status, 304);
    EXPECT_EQ(known.body, "");
    EXPECT_EQ(known.header("etag"), "\"4-1\"");
    EXPECT_EQ(known.header("content-length"), "");
    EXPECT_EQ(ask("GET", target, "", "If-None-Match: \"4-2\"\r\n").body, "Ada");
    EXPECT_EQ(ask("GET", target, "", "If-None-Match: W/\"4-1\"\r\n").status, 304);
    EXPECT_EQ(ask("GET", target, "", "If-None-Match: *\r\n").status, 304);
  }
}

TEST_F(Api, Counts) {
  OperationResult sum;
  sum.version = {Epoch{4}, Seq{9}};
  sum.value = "42";
  backend.answers_all = sum;
  const auto counted = ask("POST", path + "/incr");
  EXPECT_EQ(counted.status, 200);
  EXPECT_EQ(counted.body, "42");
  EXPECT_EQ(counted.header("etag"), "\"4-9\"");
  EXPECT_EQ(counted.header("content-type"), "text/plain");
  EXPECT_EQ(backend.last().operations.at(0).key, key);
  EXPECT_EQ(backend.last().operations.at(0).amount, 1);
  ask("POST", path + "/incr?by=-9223372036854775808&ack=local");
  EXPECT_EQ(backend.last().operations.at(0).amount, INT64_MIN);
  EXPECT_EQ(backend.last().ack, AckMode::local);
  ask("POST", path + "/incr/incr");
  EXPECT_EQ(backend.last().operations.at(0).key, key + "/incr");
  backend.answers_all = OperationResult::failed(Errc::not_a_counter, "no number");
  EXPECT_EQ(ask("POST", path + "/incr").status, 409);
  const auto asked = backend.operations();
  for (const auto* query :
       {"?by=", "?by=1.5", "?by=+1", "?by=9223372036854775808", "?by=1&by=2", "?read=replica"})
    EXPECT_EQ(ask("POST", path + "/incr" + query).status, 400) << query;
  EXPECT_EQ(ask("POST", path, "v").status, 400);
  EXPECT_EQ(ask("POST", path + "/incr", "1").status, 400);
  EXPECT_EQ(backend.operations(), asked);
}

TEST_F(Api, TakesManyOperationsOnKeysOfAnyShard) {
  const nlohmann::json body = {
      {"ack", "local"},
      {"operations",
       {{{"op", "put"}, {"key", key}, {"value", "Ada"}},
        {{"op", "put"}, {"key", foreign}, {"value_b64", "/wA="}, {"if_none_match", "*"}},
        {{"op", "get"}, {"key", key}},
        {{"op", "get"}, {"key", foreign}},
        {{"op", "delete"}, {"key_b64", "AP8="}, {"if_match", "\"7-1\""}}}}};
  const auto answer = ask("POST", "/v1/batch", body.dump());
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.header("content-type"), "application/json");
  EXPECT_EQ(nlohmann::json::parse(answer.body),
            (nlohmann::json{
                {"done", true},
                {"results",
                 {{{"status", 201}, {"etag", "\"4-1\""}},
                  {{"status", 201}, {"etag", "\"4-2\""}},
                  {{"status", 200}, {"etag", "\"4-1\""}, {"value", "Ada"}},
                  {{"status", 200}, {"etag", "\"4-2\""}, {"value_b64", "/wA="}},
                  {{"status", 404}, {"error", {{"code", "not_found"}, {"message", "no such key"}}}}}}}));
  const rpc::Request asked = backend.last();
  EXPECT_FALSE(asked.atomic);
  EXPECT_EQ(asked.ack, AckMode::local);
  EXPECT_EQ(asked.operations[1].value, "\xff\0"s);
  EXPECT_EQ(asked.operations[1].condition, Condition{Condition::Kind::missing});
  EXPECT_EQ(asked.operations[4].key, "\0\xff"s);
  EXPECT_EQ(asked.operations[4].condition, (Condition{Condition::Kind::version, {Epoch{7}, Seq{1}}}));
}

TEST_F(Api, Scans) {
  backend.page.items = {{"city", {Epoch{7}, Seq{3}}, "Delhi"}, {"\xff\0"s, {Epoch{7}, Seq{4}}, ""}};
  backend.page.cursor = "k\0"s;
  const auto first = ask("GET", "/v1/kv?prefix=a%2F&start=a%2Fb&end=a%2Fc&limit=2&reverse=true&read=replica");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.header("content-type"), "application/json");
  EXPECT_EQ(nlohmann::json::parse(first.body),
            (nlohmann::json{{"items",
                             {{{"key", "city"}, {"value", "Delhi"}, {"etag", "\"7-3\""}},
                              {{"key_b64", "/wA="}, {"value", ""}, {"etag", "\"7-4\""}}}},
                            {"cursor", "6b00"}}));
  EXPECT_EQ(backend.last_scan.prefix, "a/");
  EXPECT_EQ(backend.last_scan.start, "a/b");
  EXPECT_EQ(backend.last_scan.end, "a/c");
  EXPECT_EQ(backend.last_scan.limit, 2u);
  EXPECT_TRUE(backend.last_scan.reverse);
  EXPECT_FALSE(backend.last_scan.keys_only);
  EXPECT_EQ(backend.last_scan.read, ReadMode::replica);
  EXPECT_EQ(backend.last_scan.cursor, "");
  backend.page = {};
  const auto last = ask("GET", "/v1/kv?keys_only&cursor=6b00");
  EXPECT_EQ(nlohmann::json::parse(last.body), (nlohmann::json{{"items", nlohmann::json::array()}}));
  EXPECT_EQ(backend.last_scan.cursor, "k\0"s);
  EXPECT_TRUE(backend.last_scan.keys_only);
  EXPECT_EQ(backend.last_scan.limit, 100u);
  for (const auto* query : {"limit=0", "limit=1001", "limit=x", "limit=", "cursor=", "cursor=6", "cursor=6x",
                            "reverse=yes", "keys_only=1", "read=any", "key=a"})
    EXPECT_EQ(ask("GET", "/v1/kv?"s + query).status, 400) << query;
  EXPECT_EQ(ask("GET", "/v1/kv?prefix=" + std::string(481, 'k')).status, 400);
  EXPECT_EQ(ask("POST", "/v1/kv").status, 405);
  backend.refuses_all = Error{Errc::unavailable, "nobody is there"};
  EXPECT_EQ(ask("GET", "/v1/kv").status, 503);
}

TEST_F(Api, AnAtomicBatchHasOneOutcome) {
  const auto batch = R"({"atomic": true, "operations": [{"op": "increment", "key": "n", "by": -3}]})";
  OperationResult sum;
  sum.version = {Epoch{4}, Seq{9}};
  sum.value = "42";
  backend.answers_all = sum;
  const auto done = ask("POST", "/v1/batch", batch);
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(nlohmann::json::parse(done.body)["results"][0]["value"], "42");
  EXPECT_TRUE(backend.last().atomic);
  EXPECT_EQ(backend.last().operations.at(0).amount, -3);
  backend.answers_all = OperationResult::failed(Errc::condition_failed, "another version");
  const auto failed = ask("POST", "/v1/batch", batch);
  EXPECT_EQ(failed.status, 412);
  EXPECT_EQ(nlohmann::json::parse(failed.body)["done"], false);
  backend.answers_all = OperationResult::failed(Errc::unknown_outcome, "nobody knows");
  EXPECT_EQ(ask("POST", "/v1/batch", batch).status, 504);
  backend.answers_all = OperationResult::failed(Errc::overloaded, "later");
  EXPECT_EQ(ask("POST", "/v1/batch", batch).header("retry-after"), "1");
}

TEST_F(Api, RefusesBatchesThatItDoesNotUnderstandAsAWhole) {
  const auto operations = [](const std::string& operation) {
    return R"({"operations": [{"op": "put", "key": "k", "value": "v"}, )" + operation + "]}";
  };
  for (const std::string& body :
       {""s,
        "{"s,
        "[]"s,
        "{}"s,
        R"({"operations": []})"s,
        R"({"operations": {}})"s,
        R"({"operations": [{"op": "get", "key": "k"}], "atomic": 1})"s,
        R"({"operations": [{"op": "get", "key": "k"}], "ack": "never"})"s,
        R"({"operations": [{"op": "get", "key": "k"}], "other": 1})"s,
        operations("1"),
        operations("{}"),
        operations(R"({"op": "fly", "key": "k"})"),
        operations(R"({"op": "get"})"),
        operations(R"({"op": "get", "key": 1})"),
        operations(R"({"op": "get", "key": "k", "value": "v"})"),
        operations(R"({"op": "put", "key": "k"})"),
        operations(R"({"op": "put", "key": "k", "value": "v", "value_b64": "dg=="})"),
        operations(R"({"op": "put", "key": "k", "value_b64": "dg"})"),
        operations(R"({"op": "put", "key": "k", "value_b64": "dh=="})"),
        operations(R"({"op": "put", "key": "k", "value": "v", "if_match": "7-1"})"),
        operations(R"({"op": "increment", "key": "k", "by": 1.5})"),
        operations(R"({"op": "increment", "key": "k", "by": 9223372036854775808})"),
        operations(R"({"op": "increment", "key": "k", "if_match": "*"})"),
        std::string(20'000, '['),
        R"({"operations": [)" + std::string(200'000, ',') + "]}",
        operations(R"({"op": "put", "key": "k\"}], [[[", 1})")}) {
    const auto answer = ask("POST", "/v1/batch", body);
    EXPECT_EQ(answer.status, 400) << body.substr(0, 100);
    EXPECT_EQ(code_of(answer), "bad_request");
  }
  EXPECT_EQ(ask("GET", "/v1/batch").status, 405);
  EXPECT_EQ(backend.operations(), 0u);
}

TEST_F(Api, AnswersHeadWithTheLengthAndNoBody) {
  ask("PUT", path, "12345");
  auto client = connect();
  client.send(request("HEAD", path) + request("GET", path));
  const auto head = client.receive(false);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("content-length"), "5");
  EXPECT_EQ(head.header("etag"), "\"4-1\"");
  EXPECT_EQ(head.header("accept-ranges"), "");
  EXPECT_EQ(client.receive().body, "12345");
  EXPECT_EQ(ask("HEAD", path + "x").status == 404 || ask("HEAD", path + "x").status == 307, true);
}

TEST_F(Api, TellsAnEmptyValueFromAMissingKey) {
  EXPECT_EQ(ask("PUT", path).status, 201);
  const auto read = ask("GET", path);
  EXPECT_EQ(read.status, 200);
  EXPECT_EQ(read.header("content-length"), "0");
  EXPECT_EQ(ask("GET", "/get?key=" + key).status, 200);
}

TEST_F(Api, ServesTheSimpleForm) {
  EXPECT_EQ(ask("GET", "/set?key=" + key + "&value=a+b%2Bc%26").body, "OK");
  const auto read = ask("GET", "/get?key=" + key);
  EXPECT_EQ(read.body, "a b+c&");
  EXPECT_EQ(read.header("x-shard"), "delhi");
  EXPECT_EQ(ask("POST", "/set?key=" + key + "&value=").body, "OK");
  EXPECT_EQ(ask("GET", "/get?key=" + key).body, "");
  for (const auto* method : {"GET", "POST", "DELETE"}) {
    ask("GET", "/set?key=" + key + "&value=1");
    EXPECT_EQ(ask(method, "/delete?key=" + key).body, "OK") << method;
    EXPECT_EQ(ask(method, "/delete?key=" + key).status, 404) << method;
  }
}

TEST_F(Api, TakesFormsAndRawBodiesByPost) {
  const std::string form = "Content-Type: Application/x-www-form-urlencoded; charset=utf-8\r\n";
  EXPECT_EQ(ask("POST", "/set", "key=" + key + "&value=a%20b+c", form).body, "OK");
  EXPECT_EQ(backend.records().at(key), "a b c");
  EXPECT_EQ(ask("POST", "/set?key=" + key, "value=2", form).body, "OK");
  EXPECT_EQ(backend.records().at(key), "2");
  EXPECT_EQ(ask("POST", "/set?key=" + key, "a=b&c\0\xff"s, "Content-Type: text/plain\r\n").body, "OK");
  EXPECT_EQ(backend.records().at(key), "a=b&c\0\xff"s);
  EXPECT_EQ(ask("POST", "/set?key=" + key, "raw").body, "OK");
  EXPECT_EQ(backend.records().at(key), "raw");
  EXPECT_EQ(ask("POST", "/delete", "key=" + key, form).body, "OK");
}

TEST_F(Api, RefusesIncompleteOrContradictingForms) {
  const std::string form = "Content-Type: application/x-www-form-urlencoded\r\n";
  for (const auto* target : {"/get",
                             "/set",
                             "/delete",
                             "/set?key=a",
                             "/set?value=a",
                             "/get?key=",
                             "/get?key=a&key=b",
                             "/get?key=a&x=1",
                             "/set?key=a&value=1&value=2",
                             "/get?key=a&value=1",
                             "/get?key=%",
                             "/set?key=a&value=%4",
                             "/get?key=a&read=maybe",
                             "/set?key=a&value=1&ack=never",
                             "/get?key=a&ack=local",
                             "/v1/kv/",
                             "/v1/kv/a?x=1",
                             "/v1/kv/a?ack=local",
                             "/v1/kv/%zz",
                             "/v1/kv/a?read=replica&read=replica",
                             "/get?key=a#b",
                             "/healthz?x=1"}) {
    const auto response = ask("GET", target);
    EXPECT_EQ(response.status, 400) << target;
    EXPECT_EQ(code_of(response), "bad_request") << target;
  }
  EXPECT_EQ(ask("POST", "/set?key=a").status, 400);
  EXPECT_EQ(ask("POST", "/set?key=a&value=1", "raw").status, 400);
  EXPECT_EQ(ask("POST", "/set?key=a", "key=b&value=1", form).status, 400);
  EXPECT_EQ(ask("POST", "/set?key=a", "raw", form).status, 400);
  EXPECT_EQ(ask("GET", "/get?key=a", "body").status, 400);
  EXPECT_EQ(ask("DELETE", "/v1/kv/a", "body").status, 400);
  EXPECT_EQ(ask("PUT", "/v1/kv/a?read=replica", "v").status, 400);
  EXPECT_EQ(backend.operations(), 0u);
}

TEST_F(Api, TakesKeysOfAnyBytes) {
  std::string every_byte;
  for (int byte = 255; byte >= 0; --byte) every_byte += static_cast<char>(byte);
  for (const auto& stem :
       {every_byte, "a/b//../c"s, "line\nbreak\r\n"s, "\0"s, "\xff\xfe"s, "a+b c?d#e%f"s, "ключ"s}) {
    const auto any = key_of_shard("delhi", stem);
    EXPECT_EQ(ask("PUT", "/v1/kv/" + percent_encode_path(any), "v" + any).status, 201);
    EXPECT_EQ(ask("GET", "/v1/kv/" + percent_encode_path(any)).body, "v" + any);
    EXPECT_EQ(ask("GET", "/get?key=" + percent_encode_path(any)).body, "v" + any);
    EXPECT_EQ(backend.records().at(any), "v" + any);
  }
  const auto plus = key_of_shard("delhi", "a+b");
  EXPECT_EQ(ask("PUT", "/v1/kv/" + plus, "1").status, 201);
  EXPECT_TRUE(backend.records().contains(plus));
  const auto raw_utf8 = key_of_shard("delhi", "दिल्ली");
  EXPECT_EQ(ask("PUT", "/v1/kv/" + raw_utf8, "1").status, 201);
  EXPECT_TRUE(backend.records().contains(raw_utf8));
}

TEST_F(Api, LimitsKeysTo480Bytes) {
  const auto longest = key_of_shard("delhi", std::string(479, 'k'));
  ASSERT_EQ(longest.size(), 480u);
  EXPECT_EQ(ask("PUT", "/v1/kv/" + longest, "v").status, 201);
  for (const auto& response :
       {ask("PUT", "/v1/kv/" + longest + "1", "v"), ask("GET", "/get?key=" + longest + "1")}) {
    EXPECT_EQ(response.status, 413);
    EXPECT_EQ(code_of(response), "too_large");
  }
}

TEST_F(Api, LimitsValues) {
  options.max_value_bytes = 1000;
  EXPECT_EQ(ask("PUT", path, std::string(1000, 'v')).status, 201);
  const auto refused = ask("PUT", path, std::string(1001, 'w'));
  EXPECT_EQ(refused.status, 413);
  EXPECT_EQ(code_of(refused), "too_large");
  EXPECT_EQ(backend.records().at(key), std::string(1000, 'v'));
}

TEST_F(Api, CarriesTheLargestValueUnchanged) {
  std::string value(kMaxValueBytes, '\0');
  for (std::size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i * 7 + i / 251);
  auto client = connect();
  client.send(request("PUT", path, value));
  EXPECT_EQ(client.receive().status, 201);
  client.send(request("GET", path));
  EXPECT_TRUE(client.receive().body == value);
}

TEST_F(Api, PassesReadAndAckModesOn) {
  ask("GET", path);
  EXPECT_EQ(backend.last().read, ReadMode::linearizable);
  ask("GET", path + "?read=replica");
  EXPECT_EQ(backend.last().read, ReadMode::replica);
  ask("GET", "/get?key=" + key + "&read=replica");
  EXPECT_EQ(backend.last().read, ReadMode::replica);
  ask("PUT", path, "v");
  EXPECT_EQ(backend.last().ack, AckMode::committed);
  ask("PUT", path + "?ack=local", "v");
  EXPECT_EQ(backend.last().ack, AckMode::local);
  ask("DELETE", path + "?ack=committed");
  EXPECT_EQ(backend.last().ack, AckMode::committed);
}

TEST_F(Api, GivesTheRequestItsBytes) {
  ask("PUT", path, "a value that no small string holds in itself");
  const auto kept = backend.last();  // as a backend does that answers too late
  ASSERT_EQ(kept.operations.size(), 1u);
  EXPECT_EQ(kept.operations[0].key, key);
  EXPECT_EQ(kept.operations[0].value, "a value that no small string holds in itself");
  EXPECT_NE(kept.owner, nullptr);
}

TEST_F(Api, RedirectsToTheOwnerWithTheTargetByteForByte) {
  for (const auto& target :
       {"/v1/kv/" + foreign + "?read=linearizable", "/get?key=%6B" + foreign.substr(1)}) {
    const auto moved = ask("GET", target);
    EXPECT_EQ(moved.status, 307);
    EXPECT_EQ(moved.header("location"), "http://127.0.0.3:8080" + target);
    EXPECT_EQ(moved.header("x-shard"), "mumbai");
    EXPECT_EQ(code_of(moved), "moved");
  }
  const auto proxied = ask("GET", "http://here:1/v1/kv/" + foreign);
  EXPECT_EQ(proxied.header("location"), "http://127.0.0.3:8080/v1/kv/" + foreign);
  EXPECT_EQ(ask("HEAD", "/v1/kv/" + foreign).status, 307);
}

TEST_F(Api, ConsumesTheBodyOfARedirectedPut) {
  auto client = connect();
  client.send(request("PUT", "/v1/kv/" + foreign, std::string(300'000, 'x')) + request("GET", "/healthz"));
  EXPECT_EQ(client.receive().status, 307);
  EXPECT_EQ(client.receive().body, "ok\n");
}

TEST_F(Api, RedirectsAWriteBeforeItsBodyWhenTheClientHoldsItBack) {
  const std::string held_back = "Expect: 100-continue\r\nContent-Length: 1000000\r\n";
  const std::string type = "Content-Type: application/octet-stream\r\n";
  for (const auto& [method, target, headers] :
       {std::tuple{"PUT", "/v1/kv/" + foreign + "?ack=local", held_back},
        std::tuple{"POST", "/set?key=" + foreign, held_back + type}}) {
    auto client = connect();
    client.send(request(method, target, "", headers));
    EXPECT_EQ(client.line(), "HTTP/1.1 307 Temporary Redirect") << "and no 100 Continue before it";
    const auto rest = client.receive_all();
    EXPECT_NE(rest.find("Location: http://127.0.0.3:8080" + target + "\r\n"), rest.npos) << rest;
    EXPECT_NE(rest.find("X-Shard: mumbai\r\n"), rest.npos) << rest;
    EXPECT_NE(rest.find("Connection: close\r\n"), rest.npos) << rest;
  }
  EXPECT_EQ(backend.operations(), 0u);
}

TEST_F(Api, DropsTheBodyThatAClientSendsDespiteTheRedirect) {
  auto client = connect();
  client.send(
      request("PUT", "/v1/kv/" + foreign, "", "Expect: 100-continue\r\nContent-Length: 16000000\r\n"));
  EXPECT_EQ(client.line(), "HTTP/1.1 307 Temporary Redirect");
  EXPECT_TRUE(client.send(std::string(16'000'000, 'x')));
}

TEST_F(Api, AsksForTheBodyUnlessItIsSureToBelongElsewhere) {
  const auto asks_for_body = [&](const std::string& method, const std::string& target,
                                 const std::string& type) {
    auto client = connect();
    client.send(request(method, target, "", type + "Expect: 100-continue\r\nContent-Length: 5\r\n"));
    return client.receives_continue();
  };
  EXPECT_TRUE(asks_for_body("PUT", path, ""));
  EXPECT_TRUE(asks_for_body("PUT", "/v1/kv/" + foreign + "?ack=never", "")) << "an error, not a redirect";
  EXPECT_TRUE(asks_for_body("POST", "/set", "Content-Type: application/x-www-form-urlencoded\r\n"));
  EXPECT_TRUE(asks_for_body("PUT", "/v1/kv/" + std::string(481, 'k'), ""));
}

TEST_F(Api, NeverRedirectsABodyByATopologyThatTheNodeHasNoMore) {
  EXPECT_EQ(ask("PUT", "/v1/kv/" + foreign, "v").status, 307) << "and it keeps the topology for a while";
  backend.topology.version = 4;
  backend.topology.shards[1].primary = NodeId{1};  // the node itself has taken the shard over
  auto client = connect();
  client.send(request("PUT", "/v1/kv/" + foreign, "", "Expect: 100-continue\r\nContent-Length: 5\r\n"));
  EXPECT_TRUE(client.receives_continue());
}

TEST_F(Api, TakesTheBodyWhileNoTopologyIsKnown) {
  backend.refuses_all = Error{Errc::unavailable, "no answer in time"};
  auto client = connect();
  client.send(request("PUT", "/v1/kv/" + foreign, "", "Expect: 100-continue\r\nContent-Length: 5\r\n"));
  EXPECT_TRUE(client.receives_continue());
  backend.throws = true;
  auto second = connect();
  second.send(request("PUT", "/v1/kv/" + foreign, "", "Expect: 100-continue\r\nContent-Length: 5\r\n"));
  EXPECT_TRUE(second.receives_continue());
}

TEST_F(Api, NeverRedirectsToItself) {
  backend.moves_to_node = "delhi";
  const auto response = ask("GET", "/v1/kv/" + foreign);
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.header("location"), "");
  EXPECT_EQ(response.header("retry-after"), "1");
  EXPECT_EQ(code_of(response), "unavailable");
}

TEST_F(Api, MapsEachErrorToAStatus) {
  const std::map<Errc, int> expected = {
      {Errc::not_found, 404},       {Errc::bad_request, 400}, {Errc::too_large, 413},
      {Errc::wrong_version, 400},   {Errc::overloaded, 429},  {Errc::unavailable, 503},
      {Errc::unknown_outcome, 504}, {Errc::disk_full, 507},   {Errc::io_error, 500},
      {Errc::corrupt, 500},         {Errc::internal, 500},    {Errc::in_use, 500},
      {Errc::moved, 500},  // without saying where to
  };
  auto client = connect();
  for (const auto& [code, status] : expected) {
    backend.answers_all = OperationResult::failed(code, "because \xff of it");
    client.send(request("PUT", path, "v"));
    const auto response = client.receive();
    EXPECT_EQ(response.status, status) << name_of(code);
    EXPECT_EQ(code_of(response), name_of(code));
    EXPECT_EQ(response.header("retry-after"), status == 429 || status == 503 ? "1" : "") << name_of(code);
    EXPECT_EQ(response.header("x-shard"), "delhi");
  }
}

TEST_F(Api, PassesOnRefusalsOfTheWholeRequest) {
  backend.refuses_all = Error{Errc::unknown_outcome, "no answer in time"};
  EXPECT_EQ(ask("PUT", path, "v").status, 504);
  backend.refuses_all = Error{Errc::unavailable, "no answer in time"};
  EXPECT_EQ(ask("GET", path).status, 503);
  EXPECT_EQ(ask("GET", "/v1/status").status, 503);
  EXPECT_EQ(ask("GET", "/v1/topology").status, 503);
  EXPECT_EQ(ask("GET", "/readyz").status, 503);
  EXPECT_EQ(ask("GET", "/healthz").status, 200);
}

TEST_F(Api, KeepsTheInsidesOfAnExceptionToItself) {
  backend.throws = true;
  auto client = connect();
  client.send(request("PUT", path, "v", "Connection: close\r\n"));
  const auto everything = client.receive_all();
  EXPECT_TRUE(everything.starts_with("HTTP/1.1 500 ")) << everything;
  EXPECT_NE(everything.find("\"internal\""), std::string::npos);
  EXPECT_EQ(everything.find("secret"), std::string::npos);
}

TEST_F(Api, RefusesUnknownPathsAndMethods) {
  for (const auto* target :
       {"/nothing", "/v1", "/v1/kvs", "/get/", "//get", "/v1/kvx/a", "/%67et?key=a", "/v1%2Fkv/a"}) {
    const auto response = ask("GET", target);
    EXPECT_EQ(response.status, 404) << target;
    EXPECT_EQ(code_of(response), "unknown_path") << target;
  }
  const auto patched = ask("PATCH", "/v1/kv/a", "x");
  EXPECT_EQ(patched.status, 405);
  EXPECT_EQ(patched.header("allow"), "GET, HEAD, PUT, DELETE, POST");
  EXPECT_EQ(code_of(patched), "method_not_allowed");
  EXPECT_EQ(ask("BREW", "/get?key=a").status, 405);
  EXPECT_EQ(ask("POST", "/get?key=a").status, 405);
  EXPECT_EQ(ask("HEAD", "/set?key=a&value=1").status, 405);
  EXPECT_EQ(ask("get", "/get?key=a").status, 405);
  EXPECT_EQ(ask("OPTIONS", "*").status, 400);
  EXPECT_EQ(backend.operations(), 0u);
}

TEST_F(Api, IgnoresWhatHttplibWouldActOn) {
  ask("PUT", path, std::string(5000, 'v'));
  const auto read =
      ask("GET", path, "",
          "Range: bytes=0-1\r\nAccept-Encoding: gzip, br\r\nREMOTE_ADDR: 1.2.3.4\r\nIf-Range: \"x\"\r\n");
  EXPECT_EQ(read.status, 200);
  EXPECT_EQ(read.body, std::string(5000, 'v'));
  EXPECT_EQ(read.header("content-encoding"), "");
  const auto topology = ask("GET", "/v1/topology", "", "Accept-Encoding: gzip, br\r\n");
  EXPECT_EQ(topology.header("content-encoding"), "");
}

TEST_F(Api, TellsReadinessAndWhyNot) {
  backend.status.ready = true;
  EXPECT_EQ(ask("GET", "/readyz").body, "ready\n");
  backend.status.isolated = true;
  const auto isolated = ask("GET", "/readyz");
  EXPECT_EQ(isolated.status, 200);
  EXPECT_TRUE(isolated.body.starts_with("ready, but isolated")) << isolated.body;
  backend.status.ready = false;
  MemberStatus member;
  member.shard_name = "mumbai";
  member.state = "catching_up";
  member.problem = "the primary does not answer";
  backend.status.members = {member};
  const auto response = ask("GET", "/readyz");
  EXPECT_EQ(response.status, 503);
  const auto json = nlohmann::json::parse(response.body);
  EXPECT_EQ(json["error"]["message"],
            "not ready: shard mumbai (replica): catching_up, the primary does not answer");
  EXPECT_EQ(json["not_ready"][0]["state"], "catching_up");
}

TEST_F(Api, ShowsTheStatus) {
  backend.status = {"delhi", "1.2.3", 5, 0xabcdef, true, false, {{"mumbai", true, 40}}, {}};
  MemberStatus member{ShardId{1},
                      "delhi",
                      true,
                      true,
                      "serving",
                      "bad \xff text",
                      Epoch{2},
                      Seq{9},
                      Seq{8},
                      Seq{7},
                      Seq{6},
                      0,
                      3,
                      70,
                      4096,
                      true,
                      true,
                      950,
                      {{"delhi-replica", true, true, true, Seq{5}, 4, 12}}};
  backend.status.members = {member};
  const auto json = nlohmann::json::parse(ask("GET", "/v1/status").body);
  EXPECT_EQ(json["node"], "delhi");
  EXPECT_EQ(json["version"], "1.2.3");
  EXPECT_EQ(json["topology_version"], 5);
  EXPECT_EQ(json["topology_change"], "0000000000abcdef");
  EXPECT_EQ(json["isolated"], false);
  EXPECT_EQ(json["keepers"][0]["node"], "mumbai");
  EXPECT_EQ(json["keepers"][0]["reached"], true);
  EXPECT_EQ(json["keepers"][0]["silent_ms"], 40);
  const auto& shown = json["members"][0];
  EXPECT_EQ(shown["role"], "primary");
  EXPECT_EQ(shown["epoch"], 2);
  EXPECT_EQ(shown["head"], 9);
  EXPECT_EQ(shown["durable"], 8);
  EXPECT_EQ(shown["commit"], 7);
  EXPECT_EQ(shown["applied"], 6);
  EXPECT_EQ(shown["gaps_repaired"], 3);
  EXPECT_EQ(shown["copied_records"], 70);
  EXPECT_EQ(shown["copied_bytes"], 4096);
  EXPECT_EQ(shown["volatile"], true);
  EXPECT_EQ(shown["leased"], true);
  EXPECT_EQ(shown["lease_ms"], 950);
  EXPECT_EQ(shown["problem"], "bad \xEF\xBF\xBD text");
  EXPECT_EQ(shown["replicas"][0]["node"], "delhi-replica");
  EXPECT_EQ(shown["replicas"][0]["in_sync"], true);
  EXPECT_EQ(shown["replicas"][0]["counted"], true);
  EXPECT_EQ(shown["replicas"][0]["lag_events"], 4);
}

TEST_F(Api, ShowsTheTopology) {
  const auto json = nlohmann::json::parse(ask("GET", "/v1/topology").body);
  EXPECT_EQ(json["version"], 3);
  EXPECT_EQ(json["id"], "00f0000000000077") << "no number: doubles round it";
  EXPECT_EQ(json["name"], "test");
  EXPECT_EQ(json["nodes"][1]["http"], "127.0.0.3:8080");
  EXPECT_EQ(json["keepers"], nlohmann::json::parse(R"(["delhi"])"));
  EXPECT_EQ(json["failover"], "standard");
  EXPECT_EQ(json["shards"][0]["slots"], nlohmann::json::parse("[[0,8191]]"));
  EXPECT_EQ(json["shards"][1]["slots"], nlohmann::json::parse("[[8192,16383]]"));
  EXPECT_EQ(json["shards"][1]["slot_count"], 8192);
  EXPECT_EQ(json["shards"][1]["primary"], "mumbai");
}

TEST_F(Api, FetchesTheTopologyForShardNamesRarely) {
  auto client = connect();
  for (int i = 0; i < 100; ++i) {
    client.send(request("GET", path));
    EXPECT_EQ(client.receive().header("x-shard"), "delhi");
  }
  EXPECT_LT(backend.topology_fetches(), 20u);
}

TEST_F(Api, ListsItselfAtTheRoot) {
  const auto index = ask("GET", "/");
  EXPECT_EQ(index.status, 200);
  EXPECT_EQ(index.header("content-type"), "text/plain");
  EXPECT_NE(index.body.find("curl -L HOST/v1/kv/name"), std::string::npos);
}

TEST_F(Api, FollowsRedirectsInEachExampleAboutAKey) {
  std::istringstream lines(ask("GET", "/").body);
  int examples = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("name") == line.npos || line.find("curl") == line.npos) continue;
    ++examples;
    EXPECT_NE(line.find("curl -L "), line.npos) << line;
  }
  EXPECT_EQ(examples, 7);
}

}  // namespace
}  // namespace dkv::testing
