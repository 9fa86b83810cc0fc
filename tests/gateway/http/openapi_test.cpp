// /v1/openapi.json against the server that it describes: what it says is what happens, and it leaves nothing
// out.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>

#include "gateway/http/api.hpp"
#include "tests/gateway/http/fixture.hpp"

namespace dkv::testing {
namespace {

using Json = nlohmann::json;

/// The errors that a node gives where the description has this status.
const std::map<std::string, Errc> kErrors = {{"404", Errc::not_found},        {"409", Errc::not_a_counter},
                                             {"412", Errc::condition_failed}, {"413", Errc::too_large},
                                             {"422", Errc::reused},           {"429", Errc::overloaded},
                                             {"500", Errc::io_error},         {"503", Errc::unavailable},
                                             {"504", Errc::unknown_outcome},  {"507", Errc::disk_full}};

class OpenApi : public ServerTest {
 protected:
  struct Question {
    std::string method;
    std::string target;
    std::string body;
    std::string fields;
  };

  OpenApi() { backend.status.ready = true; }

  /// `{"$ref": "#/a/b"}` stands for what is there.
  const Json& resolve(const Json& json) {
    const auto ref = json.find("$ref");
    return ref == json.end() ? json : resolve(doc.at(Json::json_pointer(ref->get<std::string>().substr(1))));
  }

  /// Empty, or where and how the value is not as the schema says. Of JSON Schema it knows what is used here.
  std::string mismatch(const Json& value, const Json& given) {
    const Json& schema = resolve(given);
    const std::string type = schema.at("type");
    if (type == "string") return check_string(value, schema);
    if (type == "boolean") return value.is_boolean() ? "" : value.dump() + " is no boolean";
    if (type == "integer") {
      const bool fits =
          value.is_number_integer() && (!schema.contains("minimum") || value >= schema["minimum"]);
      return fits ? "" : value.dump() + " is no such integer";
    }
    if (type == "array") {
      if (!value.is_array()) return value.dump() + " is no array";
      for (const Json& one : value) {
        if (const auto wrong = mismatch(one, schema.at("items")); !wrong.empty()) return "[]: " + wrong;
      }
      return "";
    }
    return value.is_object() ? check_object(value, schema) : value.dump() + " is no object";
  }

  /// The operation's example: with the key, and with a value for each parameter that it must have.
  Question question(const std::string& path, const std::string& method, const std::string& of_key) {
    Question asked{upper(method), path, "", ""};
    if (const auto at = path.find("{key}"); at != std::string::npos) asked.target.replace(at, 5, of_key);
    for (const Json& one : parameters(path, method)) {
      if (one.at("in") != "query") continue;
      const std::string name = one.at("name");
      const bool is_value = name == "value";
      if (one.value("required", false) || is_value)
        asked.target +=
            separator(asked.target) + name + "=" + (name == "key" ? of_key : text_of(one.at("example")));
    }
    if (path == "/v1/batch")
      asked.body = R"({"operations":[{"op":"put","key":")" + of_key + R"(","value":"v"}],"atomic":true})";
    if (asked.method == "PUT") asked.body = "Ada";
    return asked;
  }

  Response ask(const Question& asked) {
    const bool is_stream =
        asked.target.starts_with("/v1/watch") && asked.target.find("nonsense") == std::string::npos;
    return is_stream ? head_of(asked) : ServerTest::ask(asked.method, asked.target, asked.body, asked.fields);
  }

  /// Of an answer whose body does not end.
  Response head_of(const Question& asked) {
    auto client = connect();
    client.send(request(asked.method, asked.target));
    Response response;
    const auto first = client.line();
    if (first) response.status = std::atoi(first->substr(first->find(' ')).c_str());
    for (auto line = client.line(); line && !line->empty(); line = client.line()) {
      const std::size_t colon = line->find(": ");
      response.headers[lower(line->substr(0, colon))] = line->substr(colon + 2);
    }
    return response;
  }

  Json parameters(const std::string& path, const std::string& method) {
    Json all = Json::array();
    for (const Json& one : doc.at("paths").at(path).at(method).value("parameters", Json::array()))
      all.push_back(resolve(one));
    return all;
  }

  static bool is_of_the_node(const std::string& path) {
    return path == "/v1/kv" || path == "/v1/status" || path == "/v1/topology";
  }
  static std::string separator(const std::string& target) {
    return target.find('?') == std::string::npos ? "?" : "&";
  }
  static std::string text_of(const Json& example) {
    return example.is_string() ? example.get<std::string>() : example.dump();
  }
  static std::string upper(std::string text) {
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
  }
  static std::string lower(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
  }

  /// Calls `look(path, method)` for all that is described.
  template <class Look>
  void for_each_operation(Look look) {
    for (const auto& [path, methods] : doc.at("paths").items()) {
      for (const auto& [method, operation] : methods.items()) {
        SCOPED_TRACE(method + " " + path);
        look(path, method);
      }
    }
  }

  /// Has the server answer with the status, whatever that takes.
  Response provoke(const std::string& path, const std::string& method, const std::string& status) {
    ServerTest::ask("PUT", "/v1/kv/" + key, "Ada");
    backend.answers_all.reset();
    backend.refuses_all.reset();
    auto asked = question(path, method, status == "307" ? foreign : status == "201" ? "new-" + key : key);
    if (status == "201") asked.target = "/v1/kv/" + key_of_shard("delhi", "new");
    if (status == "304")
      asked.fields = "If-None-Match: " + ServerTest::ask("GET", "/v1/kv/" + key).header("etag") + "\r\n";
    if (status == "400") asked.target += separator(asked.target) + "nonsense=1";
    if (const auto error = kErrors.find(status); error != kErrors.end()) {
      backend.answers_all = OperationResult::failed(error->second, "for a test");
      if (is_of_the_node(path)) backend.refuses_all = Error{error->second, "for a test"};
      backend.status.ready = false;
    }
    auto response = ask(asked);
    backend.answers_all.reset();
    backend.refuses_all.reset();
    backend.status.ready = true;
    return response;
  }

  void expect_as_described(const Response& response, const Json& described, bool has_body) {
    const Json headers = described.value("headers", Json::object());
    for (const auto& [name, header] : headers.items()) {
      if (resolve(header).value("required", false)) {
        EXPECT_NE(response.header(lower(name)), "") << name;
      }
    }
    if (!has_body) {
      EXPECT_EQ(response.body, "");
      EXPECT_FALSE(described.contains("content"));
      return;
    }
    const Json content = described.value("content", Json::object());
    if (content.empty()) {
      EXPECT_EQ(response.body, "");
    }
    for (const auto& [type, body] : content.items()) {
      EXPECT_EQ(response.header("content-type"), type);
      if (type == "application/json") {
        EXPECT_EQ(mismatch(Json::parse(response.body), body.at("schema")), "");
      }
    }
  }

  const std::string key = key_of_shard("delhi");
  const std::string foreign = key_of_shard("mumbai");
  const Json doc = Json::parse(ServerTest::ask("GET", "/v1/openapi.json").body);

 private:
  std::string check_string(const Json& value, const Json& schema) {
    if (!value.is_string()) return value.dump() + " is no string";
    const Json all = schema.value("enum", Json());
    const bool fits = all.is_null() || std::find(all.begin(), all.end(), value) != all.end();
    return fits ? "" : value.dump() + " is none of " + all.dump();
  }

  std::string check_object(const Json& value, const Json& schema) {
    for (const Json& name : schema.value("required", Json::array())) {
      if (!value.contains(name.get<std::string>())) return name.dump() + " is missing";
    }
    if (!schema.contains("properties")) return "";
    for (const auto& [name, field] : value.items()) {
      if (!schema["properties"].contains(name)) return name + " is not described";
      if (const auto wrong = mismatch(field, schema["properties"][name]); !wrong.empty())
        return name + ": " + wrong;
    }
    return "";
  }
};

TEST_F(OpenApi, NamesThisVersion) { EXPECT_EQ(doc.at("info").at("version"), DKV_VERSION); }

TEST_F(OpenApi, DescribesEveryPathOfTheServerWithItsMethodsAndNoOther) {
  std::map<std::string, std::set<std::string>> described;  // by the path as the server knows it
  for (const auto& [path, methods] : doc.at("paths").items()) {
    for (const auto& [method, operation] : methods.items())
      described[path.substr(0, path.find("{key}"))].insert(upper(method));
  }
  std::set<std::string> known;
  for (const auto path : http::Api::paths()) {
    known.emplace(path);
    const std::string target = path.ends_with("/v1/kv/") ? std::string(path) + "key" : std::string(path);
    const auto refused = ServerTest::ask("PATCH", target);
    EXPECT_EQ(refused.status, 405);
    std::set<std::string> allowed;
    std::istringstream words(refused.header("allow"));
    for (std::string word; words >> word;) allowed.insert(word.substr(0, word.find(',')));
    EXPECT_EQ(allowed, described[std::string(path)]) << path;
  }
  for (const auto& [path, methods] : described) EXPECT_TRUE(known.contains(path)) << path;
}

TEST_F(OpenApi, EveryDescribedAnswerIsGiven) {
  int answers = 0;
  for_each_operation([&](const std::string& path, const std::string& method) {
    for (const auto& [status, response] : doc["paths"][path][method].at("responses").items()) {
      if (status == "default") continue;
      SCOPED_TRACE(status);
      const auto answered = provoke(path, method, status);
      EXPECT_EQ(std::to_string(answered.status), status);
      expect_as_described(answered, resolve(response), method != "head");
      ++answers;
    }
  });
  std::printf("%d answers are as described\n", answers);
}

TEST_F(OpenApi, EveryErrorOfANodeIsDescribed) {
  for_each_operation([&](const std::string& path, const std::string& method) {
    const Json& responses = doc["paths"][path][method].at("responses");
    const bool is_read = method == "get" && path != "/set" && path != "/delete";
    for (const auto& [status, code] : kErrors) {
      const bool is_of_some_requests =
          status == "404" || status == "409" || status == "412" || status == "422";
      const bool is_of_writes = status == "504" || status == "507";
      if (status == "413" && is_of_the_node(path)) continue;  // it has neither key nor value
      if (is_of_some_requests || (is_of_writes && (is_read || method == "head"))) continue;
      if (provoke(path, method, status).status == std::stoi(status)) {
        EXPECT_TRUE(responses.contains(status)) << status;
      }
    }
  });
}

TEST_F(OpenApi, EveryDescribedParameterIsTaken) {
  for_each_operation([&](const std::string& path, const std::string& method) {
    for (const Json& one : parameters(path, method)) {
      if (one.at("in") != "query" || one.value("required", false)) continue;
      const std::string name = one.at("name");
      SCOPED_TRACE(name);
      ServerTest::ask("PUT", "/v1/kv/" + key, "Ada");
      auto asked = question(path, method, key);
      if (name != "value") asked.target += separator(asked.target) + name + "=" + text_of(one.at("example"));
      EXPECT_LT(ask(asked).status, 400);
    }
  });
}

TEST_F(OpenApi, AnErrorAndWhatIsNotReadyAreAsDescribed) {
  const Json& schemas = doc.at("components").at("schemas");
  const auto lost = ServerTest::ask("GET", "/nowhere");
  EXPECT_EQ(lost.status, 404);
  EXPECT_EQ(mismatch(Json::parse(lost.body), schemas.at("Error")), "");
  backend.status.ready = true;
  backend.status.keepers.push_back({"delhi", true, 3});
  MemberStatus member;
  member.shard_name = "delhi";
  member.replicas.push_back({"mumbai", true, true, true, Seq{4}, 0, 7});
  backend.status.members.push_back(member);
  EXPECT_EQ(mismatch(Json::parse(ServerTest::ask("GET", "/v1/status").body), schemas.at("NodeStatus")), "");
  backend.status.ready = false;
  EXPECT_EQ(mismatch(Json::parse(ServerTest::ask("GET", "/readyz").body), schemas.at("NotReady")), "");
  backend.page.items = {{"city", {Epoch{7}, Seq{1042}}, "Delhi", 30'000},
                        {"\xff", {Epoch{7}, Seq{1043}}, "\xff", 0}};
  backend.page.cursor = "next";
  EXPECT_EQ(mismatch(Json::parse(ServerTest::ask("GET", "/v1/kv").body), schemas.at("Page")), "");
  const std::string body =
      R"({"operations":[{"op":"get","key":"no"},{"op":"put","key":"k","value":"v"},{"op":"get","key":"k"}]})";
  EXPECT_EQ(
      mismatch(Json::parse(ServerTest::ask("POST", "/v1/batch", body).body), schemas.at("BatchResults")), "");
  EXPECT_EQ(mismatch(Json::parse(body), schemas.at("Batch")), "");
}

}  // namespace
}  // namespace dkv::testing
