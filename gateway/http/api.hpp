// The HTTP API: what each request means, and how the backend's answers read over HTTP. Knows nothing of
// sockets. README.md in this folder is the contract: endpoints, headers, status codes.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/http/backend.hpp"
#include "gateway/http/connection.hpp"
#include "gateway/http/shard_names.hpp"
#include "gateway/http/target.hpp"

namespace dkv::http {

struct Answer {
  int status = 200;
  std::string content_type;  // empty: no Content-Type
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::shared_ptr<const WatchAsked> watch{};  // it is an event stream
};

/// The HTTP status that says best what a client can do about an error.
int http_status(Errc code);

/// The parameters `read` and `ack`; nullptr where they were not given. Errors: bad_request.
Result<ReadMode> parse_read_mode(const std::string* value);
Result<AckMode> parse_ack_mode(const std::string* value);

/// An answer with a JSON error body.
Answer error_answer(int status, std::string_view code, std::string_view message);

class Api {
 public:
  struct Options {
    std::string node_name;
    std::size_t max_value_bytes = 0;
    std::chrono::milliseconds call_timeout{};
  };

  Api(Options options, Backend& backend)
      : options_(std::move(options)), backend_(backend), shard_names_(backend) {}

  /// What there is; one that ends with a slash takes whatever follows it.
  static std::vector<std::string_view> paths();

  /// Any thread, many at once. Blocks for the backend's answer.
  Answer answer(const Request& request);
  /// The redirect for a write whose body the client holds back, if the node's topology gives the key to
  /// another node: then the body need not come here first. Nothing when in doubt: the backend decides, once
  /// the body has come. A node never redirects so what its own topology gives to itself, so this cannot
  /// loop where the backend's own answers do not.
  std::optional<Answer> redirect_without_body(const Request& request);

 private:
  struct KeyRequest;
  using Handler = Answer (Api::*)(const Request&, const Target&);
  struct Route;
  static const std::vector<Route>& routes();

  Answer kv(const Request& request, const Target& target);
  Answer simple_get(const Request& request, const Target& target);
  Answer simple_set(const Request& request, const Target& target);
  Answer simple_delete(const Request& request, const Target& target);
  Answer scan(const Request& request, const Target& target);
  Answer batch(const Request& request, const Target& target);
  Answer watch(const Request& request, const Target& target);
  Answer index(const Request& request, const Target& target);
  Answer openapi(const Request& request, const Target& target);
  Answer health(const Request& request, const Target& target);
  Answer readiness(const Request& request, const Target& target);
  Answer status(const Request& request, const Target& target);
  Answer topology(const Request& request, const Target& target);

  Result<KeyRequest> read_kv(const Request& request, const Target& target);
  Result<KeyRequest> read_simple(const Request& request, const Target& target, OpCode code);
  OperationResult perform(const KeyRequest& request);
  Answer found(OperationResult result, const KeyRequest& request);
  Answer failure(const OperationResult& result, const KeyRequest& request);
  Answer with_shard(Answer answer, const KeyRequest& request);
  Answer redirect(const Moved& moved, const KeyRequest& request);
  rpc::Reply ask(rpc::Type type);

  const Options options_;
  Backend& backend_;
  ShardNames shard_names_;
};

}  // namespace dkv::http
