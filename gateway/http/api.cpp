#include "gateway/http/api.hpp"

#include <algorithm>
#include <charconv>

#include "gateway/http/batch.hpp"
#include "gateway/http/conditions.hpp"
#include "gateway/http/json.hpp"
#include "gateway/http/openapi.hpp"
#include "gateway/http/scan.hpp"
#include "gateway/http/watch.hpp"
#include "topology/codec.hpp"

namespace dkv::http {

namespace {

constexpr std::string_view kKeyPrefix = "/v1/kv/";
constexpr std::string_view kIncrement = "/incr";
constexpr std::string_view kTouch = "/touch";
constexpr std::string_view kFormType = "application/x-www-form-urlencoded";

constexpr std::string_view kIndex = R"(distri-kv: a sharded, replicated key-value store

  curl -L -X PUT --data-binary 'Ada' HOST/v1/kv/name    store a value (any bytes, keys percent-encoded);
                                                        -L follows to the node that owns the key
  curl -L HOST/v1/kv/name                               read it
  curl -L 'HOST/v1/kv/name?read=replica'                read a copy that may be slightly behind
  curl -L -X DELETE HOST/v1/kv/name                     delete it
  curl -L -X POST 'HOST/v1/kv/visits/incr?by=1'         count: add to a number
  curl -L -X PUT -d 'data' 'HOST/v1/kv/session?ttl=30m' a record that is removed after half an hour; how long it has
  curl -L -X POST 'HOST/v1/kv/session/touch?ttl=30m'    yet to live stands in X-TTL-Ms; give it another time

  curl -L -X PUT -H 'If-None-Match: *' ...              only when the key is missing, or
  curl -L -X PUT -H 'If-Match: "7-1042"' ...            only over the record with this ETag; else 412

  curl -L -X POST -H 'Idempotency-Key: order-17' ...    may be sent again: it is done once
  curl -L -H 'X-Session: new' ...                       with what X-Session the answer has, a read of a replica
                                                        shows nothing older than that

  curl 'HOST/v1/kv?prefix=user/&limit=100'              records in the order of their keys, from any node;
                                                        &cursor= of one page for the next

  curl -N 'HOST/v1/watch?prefix=user/'                  what happens to keys, as it happens, from any node

  curl HOST/v1/batch -d '{"operations": [{"op": "get", "key": "a"}, {"op": "put", "key": "b", "value": "c"}]}'
                                                        many at once, from any node; with "atomic": true
                                                        all or nothing

  curl -L 'HOST/set?key=name&value=Ada'                 the same in its simplest form
  curl -L 'HOST/get?key=name'
  curl -L 'HOST/delete?key=name'

  curl HOST/v1/topology                                 nodes, shards, slots
  curl HOST/v1/status                                   this node's copies and how far they are
  curl HOST/v1/openapi.json                             all of this, for tools
  curl HOST/readyz                                      200 when this node can serve
  curl HOST/healthz                                     200 when this process lives
)";

constexpr std::string_view kReadyButIsolated =
    "ready, but isolated: this node reaches no majority of the keepers, and does not hear of changes\n";

Answer answer_to(const Error& error) {
  auto answer = error_answer(http_status(error.code), name_of(error.code), error.message);
  if (answer.status == 429 || answer.status == 503) answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

Answer plain(int status, std::string_view body) { return {status, "text/plain", std::string(body), {}}; }

Answer json(std::string body) { return {200, "application/json", std::move(body), {}}; }

bool is_form(std::string_view content_type) {
  const auto type = content_type.substr(0, content_type.find_first_of("; \t"));
  return std::equal(type.begin(), type.end(), kFormType.begin(), kFormType.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

Error no_body_expected() { return {Errc::bad_request, "this request takes no body"}; }

Result<std::int64_t> amount(const std::string* value) {
  if (!value) return std::int64_t{1};
  std::int64_t number = 0;
  const char* end = value->data() + value->size();
  const auto [at, error] = std::from_chars(value->data(), end, number);
  if (error == std::errc() && at == end) return number;
  return Error{Errc::bad_request, "the parameter 'by' must be a signed 64-bit integer in decimal"};
}

Result<void> no_parameters(const Target& target) { return Parameters().add(target.query, {}); }

Answer with_session(Answer answer, const std::shared_ptr<Session>& session) {
  if (session) answer.headers.emplace_back("X-Session", session_text(*session));
  return answer;
}

/// What the bytes of one operation live in until the backend is done with them.
struct Owned {
  std::string key;
  std::string value;
};

}  // namespace

int http_status(Errc code) {
  switch (code) {
    case Errc::ok:
      return 200;
    case Errc::not_found:
      return 404;
    case Errc::moved:
      return 307;
    case Errc::bad_request:
    case Errc::wrong_version:
      return 400;
    case Errc::condition_failed:
      return 412;
    case Errc::not_a_counter:
    case Errc::aborted:
      return 409;
    case Errc::too_large:
      return 413;
    case Errc::reused:
      return 422;
    case Errc::overloaded:
      return 429;
    case Errc::unavailable:
      return 503;
    case Errc::unknown_outcome:
      return 504;
    case Errc::disk_full:
      return 507;
    case Errc::io_error:
    case Errc::corrupt:
    case Errc::in_use:
    case Errc::internal:
      return 500;
  }
  return 500;
}

Result<ReadMode> parse_read_mode(const std::string* value) {
  if (!value || *value == "linearizable") return ReadMode::linearizable;
  if (*value == "replica") return ReadMode::replica;
  return Error{Errc::bad_request, "the parameter 'read' must be 'linearizable' or 'replica'"};
}

Result<AckMode> parse_ack_mode(const std::string* value) {
  if (!value || *value == "committed") return AckMode::committed;
  if (*value == "local") return AckMode::local;
  return Error{Errc::bad_request, "the parameter 'ack' must be 'committed' or 'local'"};
}

Answer error_answer(int status, std::string_view code, std::string_view message) {
  return {status, "application/json", error_json(code, message), {}};
}

/// One operation on one key, as either form of the API asks for it.
struct Api::KeyRequest {
  std::string_view origin;  // path and query for a redirect
  OpCode code = OpCode::get;
  ReadMode read = ReadMode::linearizable;
  AckMode ack = AckMode::committed;
  bool report_created = false;
  Condition condition{};
  std::int64_t amount = 0;
  Ttl ttl{};
  Known known{};  // by the reader, who wants another
  OnceId once{};
  std::shared_ptr<Session> session{};  // goes up to what the answer shows
  std::shared_ptr<Owned> owned = std::make_shared<Owned>();

  /// Takes `read` of a read and `ack` of a write, and what the fields ask for.
  Result<void> take_mode(const Parameters& parameters, const Fields& fields) {
    auto of_fields = session_of(fields);
    if (!of_fields) return of_fields.error();
    session = std::move(*of_fields);
    if (code == OpCode::get) {
      const auto mode = parse_read_mode(parameters.find("read"));
      if (!mode) return mode.error();
      read = *mode;
      const auto version = known_version(fields);
      if (!version) return version.error();
      known = *version;
    } else {
      const auto mode = parse_ack_mode(parameters.find("ack"));
      if (!mode) return mode.error();
      ack = *mode;
      const auto wanted = write_condition(fields);
      if (!wanted) return wanted.error();
      condition = *wanted;
      const auto name = once_id(fields);
      if (!name) return name.error();
      once = *name;
      if ((code == OpCode::increment || code == OpCode::touch) && condition != Condition{})
        return Error{Errc::bad_request, "an increment or a touch takes no condition"};
      if (const std::string* text = parameters.find("ttl")) {
        const auto wanted_ttl = parse_ttl(*text);
        if (!wanted_ttl) return wanted_ttl.error();
        ttl = *wanted_ttl;
      } else if (code == OpCode::touch) {
        return Error{Errc::bad_request, "the parameter 'ttl' is missing: 30s, say, or forever"};
      }
    }
    return {};
  }
  Operation operation() const {
    return {code, owned->key, owned->value, report_created, condition, amount, ttl, once.number};
  }
};

struct Api::Route {
  std::string_view path;
  std::vector<std::string_view> methods;
  Handler handler;
};

const std::vector<Api::Route>& Api::routes() {
  static const std::vector<Route> all = {
      {"/", {"GET", "HEAD"}, &Api::index},
      {"/get", {"GET", "HEAD"}, &Api::simple_get},
      {"/set", {"GET", "POST"}, &Api::simple_set},
      {"/delete", {"GET", "POST", "DELETE"}, &Api::simple_delete},
      {"/healthz", {"GET", "HEAD"}, &Api::health},
      {"/readyz", {"GET", "HEAD"}, &Api::readiness},
      {"/v1/kv", {"GET", "HEAD"}, &Api::scan},
      {"/v1/batch", {"POST"}, &Api::batch},
      {"/v1/watch", {"GET"}, &Api::watch},
      {"/v1/openapi.json", {"GET", "HEAD"}, &Api::openapi},
      {"/v1/status", {"GET", "HEAD"}, &Api::status},
      {"/v1/topology", {"GET", "HEAD"}, &Api::topology},
      {kKeyPrefix, {"GET", "HEAD", "PUT", "DELETE", "POST"}, &Api::kv},
  };
  return all;
}

std::vector<std::string_view> Api::paths() {
  std::vector<std::string_view> paths;
  for (const Route& route : routes()) paths.push_back(route.path);
  return paths;
}

Answer Api::answer(const Request& request) {
  const auto target = parse_target(request.target);
  if (!target) return answer_to(target.error());
  for (const auto& route : routes()) {
    const bool matches =
        route.path == kKeyPrefix ? target->path.starts_with(kKeyPrefix) : target->path == route.path;
    if (!matches) continue;
    const auto& methods = route.methods;
    if (std::find(methods.begin(), methods.end(), request.method) != methods.end()) {
      return (this->*route.handler)(request, *target);
    }
    std::string allowed;
    for (const auto method : methods) allowed += (allowed.empty() ? "" : ", ") + std::string(method);
    auto answer = error_answer(405, "method_not_allowed", "this path takes " + allowed);
    answer.headers.emplace_back("Allow", allowed);
    return answer;
  }
  return error_answer(404, "unknown_path", "there is nothing here: GET / lists what there is");
}

std::optional<Answer> Api::redirect_without_body(const Request& request) {
  const auto target = parse_target(request.target);
  if (!target) return std::nullopt;
  const bool put = request.method == "PUT" && target->path.starts_with(kKeyPrefix);
  const bool set = request.method == "POST" && target->path == "/set";
  if (!put && !set) return std::nullopt;
  // A form may hold the key: then there is no telling yet, and this is an error.
  const auto asked = put ? read_kv(request, *target) : read_simple(request, *target, OpCode::put);
  if (!asked) return std::nullopt;
  const auto fits = check({asked->code, asked->owned->key, ""}, options_.max_value_bytes);
  if (!fits) return std::nullopt;
  const auto owner = shard_names_.owner_elsewhere(asked->owned->key, options_.node_name);
  if (!owner) return std::nullopt;
  return redirect(*owner, *asked);
}

// ---- /v1/kv/{key} ----

Result<Api::KeyRequest> Api::read_kv(const Request& request, const Target& target) {
  KeyRequest asked;
  asked.origin = target.origin;
  asked.code = request.method == "PUT"      ? OpCode::put
               : request.method == "DELETE" ? OpCode::remove
               : request.method == "POST"   ? OpCode::increment  // or a touch, by its path
                                            : OpCode::get;
  std::string_view path = target.path.substr(kKeyPrefix.size());
  if (asked.code == OpCode::increment) {
    const bool is_touch = path.ends_with(kTouch);
    if (!is_touch && !path.ends_with(kIncrement)) {
      return Error{Errc::bad_request,
                   "POST is for /v1/kv/KEY/incr and /v1/kv/KEY/touch; a value is stored with PUT"};
    }
    path.remove_suffix(is_touch ? kTouch.size() : kIncrement.size());
    if (is_touch) asked.code = OpCode::touch;
  }
  auto key = percent_decode(path, false);
  if (!key) return key.error();
  asked.owned->key = std::move(*key);
  Parameters parameters;
  const auto added = asked.code == OpCode::get         ? parameters.add(target.query, {"read"})
                     : asked.code == OpCode::increment ? parameters.add(target.query, {"by", "ack"})
                     : asked.code == OpCode::remove    ? parameters.add(target.query, {"ack"})
                                                       : parameters.add(target.query, {"ack", "ttl"});
  if (!added) return added.error();
  if (const auto taken = asked.take_mode(parameters, request.fields); !taken) return taken.error();
  if (asked.code == OpCode::increment) {
    const auto by = amount(parameters.find("by"));
    if (!by) return by.error();
    asked.amount = *by;
  }
  if (asked.code == OpCode::put) {
    asked.report_created = true;
    asked.owned->value = request.body;
  } else if (!request.body.empty()) {
    return no_body_expected();
  }
  return asked;
}

Answer Api::kv(const Request& request, const Target& target) {
  const auto read = read_kv(request, target);
  if (!read) return answer_to(read.error());
  const auto& asked = *read;
  auto result = perform(asked);
  if (result.code != Errc::ok) return failure(result, asked);
  if (asked.code == OpCode::remove) return with_shard({204, "", "", {}}, asked);
  if (asked.code == OpCode::get) return found(std::move(result), asked);
  Answer answer;
  answer.headers.emplace_back("ETag", etag(result.version));
  if (asked.code == OpCode::put) {
    answer.status = result.created ? 201 : 200;
  } else if (asked.code == OpCode::increment) {
    answer.content_type = "text/plain";
    answer.body = std::move(result.value);
  } else {
    answer.status = 204;
  }
  return with_shard(std::move(answer), asked);
}

// ---- /get, /set, /delete ----

/// Key, value and modes from the query and, for POST, from a form body or a raw one (the value).
Result<Api::KeyRequest> Api::read_simple(const Request& request, const Target& target, OpCode code) {
  KeyRequest asked;
  asked.origin = target.origin;
  asked.code = code;
  const bool form = request.method == "POST" && is_form(request.content_type);
  const bool raw_value = code == OpCode::put && request.method == "POST" && !form && !request.body.empty();
  if (!form && !raw_value && !request.body.empty()) return no_body_expected();

  Parameters parameters;
  for (const auto source : {target.query, form ? request.body : std::string_view()}) {
    const auto added = code == OpCode::get   ? parameters.add(source, {"key", "read"})
                       : code == OpCode::put ? parameters.add(source, {"key", "value", "ttl", "ack"})
                                             : parameters.add(source, {"key", "ack"});
    if (!added) return added.error();
  }
  if (const auto taken = asked.take_mode(parameters, request.fields); !taken) return taken.error();
  const auto* key = parameters.find("key");
  if (!key) return Error{Errc::bad_request, "the parameter 'key' is missing"};
  asked.owned->key = *key;
  if (code != OpCode::put) return asked;
  const auto* value = parameters.find("value");
  if (value && raw_value)
    return Error{Errc::bad_request, "the value is given twice: as a parameter and as the body"};
  const bool empty_body_meant = request.method == "POST" && !form && !request.content_type.empty();
  const bool no_value = !value && !raw_value && !empty_body_meant;
  if (no_value)
    return Error{Errc::bad_request, "the parameter 'value' is missing; an empty value is sent as 'value='"};
  asked.owned->value = value ? *value : std::string(request.body);
  return asked;
}

Answer Api::simple_get(const Request& request, const Target& target) {
  const auto asked = read_simple(request, target, OpCode::get);
  if (!asked) return answer_to(asked.error());
  auto result = perform(*asked);
  return result.code == Errc::ok ? found(std::move(result), *asked) : failure(result, *asked);
}

Answer Api::simple_set(const Request& request, const Target& target) {
  const auto asked = read_simple(request, target, OpCode::put);
  if (!asked) return answer_to(asked.error());
  const auto result = perform(*asked);
  return result.code == Errc::ok ? with_shard(plain(200, "OK"), *asked) : failure(result, *asked);
}

Answer Api::simple_delete(const Request& request, const Target& target) {
  const auto asked = read_simple(request, target, OpCode::remove);
  if (!asked) return answer_to(asked.error());
  const auto result = perform(*asked);
  return result.code == Errc::ok ? with_shard(plain(200, "OK"), *asked) : failure(result, *asked);
}

// ---- /v1/batch ----

Answer Api::batch(const Request& request, const Target& target) {
  if (const auto none = no_parameters(target); !none) return answer_to(none.error());
  auto asked = read_batch(request.body);
  if (!asked) return answer_to(asked.error());
  const auto name = once_id(request.fields);
  if (!name) return answer_to(name.error());
  const auto session = session_of(request.fields);
  if (!session) return answer_to(session.error());
  set_once(*asked, *name);
  const auto results = backend_.execute(*asked, *session);
  auto answer = with_session(json(batch_json(asked->operations, results)), *session);
  if (!asked->atomic) return answer;
  // As a whole it has one outcome: that of the operation that was in the way.
  for (const OperationResult& result : results) {
    if (!is_answer(result.code) && result.code != Errc::aborted) answer.status = http_status(result.code);
  }
  if (answer.status == 429 || answer.status == 503) answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

// ---- /v1/kv ----

Answer Api::scan(const Request& request, const Target& target) {
  if (!request.body.empty()) return answer_to(no_body_expected());
  auto options = read_scan(target);
  if (!options) return answer_to(options.error());
  auto session = session_of(request.fields);
  if (!session) return answer_to(session.error());
  options->session = *session;
  const auto page = backend_.scan(*options);
  if (!page) return answer_to(page.error());
  return with_session(json(page_json(*page, options->keys_only)), *session);
}

// ---- /v1/watch ----

Answer Api::watch(const Request& request, const Target& target) {
  if (!request.body.empty()) return answer_to(no_body_expected());
  auto asked = read_watch(target, request.fields);
  if (!asked) return answer_to(asked.error());
  Answer answer;
  answer.watch = std::make_shared<const WatchAsked>(std::move(*asked));
  return answer;
}

// ---- the backend's answers ----

OperationResult Api::perform(const KeyRequest& asked) {
  rpc::Request request;
  request.read = asked.read;
  request.ack = asked.ack;
  request.client_id = asked.once.client_id;
  request.operations.push_back(asked.operation());
  request.session = asked.session;
  request.owner = asked.owned;
  if (const auto fits = check(request.operations.front(), options_.max_value_bytes); !fits) {
    return OperationResult::failed(fits.error().code, fits.error().message);
  }
  auto reply = backend_.call(std::move(request), options_.call_timeout);
  if (asked.session && reply.session) asked.session->take(*reply.session);
  if (auto* error = std::get_if<Error>(&reply.body)) {
    return OperationResult::failed(error->code, std::move(error->message));
  }
  auto* results = std::get_if<std::vector<OperationResult>>(&reply.body);
  if (results && results->size() == 1) return std::move(results->front());
  // The operation went out: only a read is known to have changed nothing.
  const auto code = asked.code == OpCode::get ? Errc::internal : Errc::unknown_outcome;
  return OperationResult::failed(code, "the node's answer was not one to this request");
}

Answer Api::found(OperationResult result, const KeyRequest& asked) {
  Answer answer{200, "application/octet-stream", {}, {{"ETag", etag(result.version)}}};
  if (result.ttl_ms != 0) answer.headers.emplace_back("X-TTL-Ms", std::to_string(result.ttl_ms));
  if (asked.known.has(result.version)) {
    answer.status = 304;
    answer.content_type.clear();
  } else {
    answer.body = std::move(result.value);
  }
  return with_shard(std::move(answer), asked);
}

Answer Api::failure(const OperationResult& result, const KeyRequest& asked) {
  if (result.code == Errc::moved && result.moved) return redirect(*result.moved, asked);
  auto answer = answer_to(Error{result.code, result.message});
  if (answer.status == 307) answer.status = 500;  // moved, but nobody says where to
  if (result.code == Errc::condition_failed && result.version != Position{})
    answer.headers.emplace_back("ETag", etag(result.version));
  return with_shard(std::move(answer), asked);
}

/// Adds what every answer about a key carries.
Answer Api::with_shard(Answer answer, const KeyRequest& asked) {
  auto name = shard_names_.of(asked.owned->key);
  if (!name.empty()) answer.headers.emplace_back("X-Shard", std::move(name));
  return with_session(std::move(answer), asked.session);
}

Answer Api::redirect(const Moved& moved, const KeyRequest& asked) {
  shard_names_.saw_version(moved.topology_version);
  if (moved.node_name == options_.node_name || moved.http_endpoint.empty()) {
    // A redirect to ourselves would loop: two parts of this node disagree for a moment.
    auto answer = answer_to(Error{Errc::unavailable, "the shard is changing hands: retry"});
    answer.headers.emplace_back("X-Shard", moved.shard_name);
    return answer;
  }
  const auto location = "http://" + moved.http_endpoint + std::string(asked.origin);
  auto answer = error_answer(307, "moved",
                             "the key belongs to shard " + moved.shard_name + ", on node " + moved.node_name +
                                 ": follow Location (curl -L)");
  answer.headers.emplace_back("Location", location);
  answer.headers.emplace_back("X-Shard", moved.shard_name);
  return answer;
}

// ---- about the node ----

rpc::Reply Api::ask(rpc::Type type) {
  rpc::Request request;
  request.type = type;
  return backend_.call(std::move(request), options_.call_timeout);
}

Answer Api::index(const Request& request, const Target& target) {
  if (const auto none = no_parameters(target); !none) return answer_to(none.error());
  if (!request.body.empty()) return answer_to(no_body_expected());
  return plain(200, kIndex);
}

Answer Api::openapi(const Request& request, const Target& target) {
  if (const auto none = no_parameters(target); !none) return answer_to(none.error());
  if (!request.body.empty()) return answer_to(no_body_expected());
  return json(std::string(kOpenApi));
}

Answer Api::health(const Request&, const Target& target) {
  if (const auto none = no_parameters(target); !none) return answer_to(none.error());
  return plain(200, "ok\n");
}

Answer Api::readiness(const Request&, const Target& target) {
  if (const auto none = no_parameters(target); !none) return answer_to(none.error());
  const auto reply = ask(rpc::Type::status);
  if (const auto* status = std::get_if<NodeStatus>(&reply.body)) {
    // Isolated it serves on: were it "not ready", the loss of the keepers would take every node out of
    // service.
    if (status->ready) return plain(200, status->isolated ? kReadyButIsolated : "ready\n");
    return {503, "application/json", not_ready_json(*status), {{"Retry-After", "1"}}};
  }
  const auto* error = std::get_if<Error>(&reply.body);
  return answer_to(
      Error{Errc::unavailable, "not ready: " + (error ? error->message : "the node gives no status")});
}

Answer Api::status(const Request&, const Target& target) {
  if (const auto none = no_parameters(target); !none) return answer_to(none.error());
  const auto reply = ask(rpc::Type::status);
  if (const auto* status = std::get_if<NodeStatus>(&reply.body)) return json(status_json(*status));
  if (const auto* error = std::get_if<Error>(&reply.body)) return answer_to(*error);
  return answer_to(Error{Errc::internal, "the node gives no status"});
}

Answer Api::topology(const Request&, const Target& target) {
  if (const auto none = no_parameters(target); !none) return answer_to(none.error());
  const auto reply = ask(rpc::Type::topology);
  if (const auto* error = std::get_if<Error>(&reply.body)) return answer_to(*error);
  const auto* encoded = std::get_if<rpc::TopologyReply>(&reply.body);
  if (!encoded) return answer_to(Error{Errc::internal, "the node gives no topology"});
  const auto decoded = decode_topology(encoded->encoded);
  if (!decoded) return answer_to(Error{Errc::internal, "the topology: " + decoded.error().message});
  return json(topology_json(*decoded));
}

}  // namespace dkv::http
