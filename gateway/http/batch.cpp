#include "gateway/http/batch.hpp"

#include <algorithm>
#include <deque>

#include "gateway/http/api.hpp"
#include "gateway/http/conditions.hpp"
#include "gateway/json_bytes.hpp"
#include "messages/limits.hpp"

namespace dkv::http {

namespace {

// Read into a tree, whose keys are found in no time; written in the order that people read.
using Tree = nlohmann::json;
using Json = nlohmann::ordered_json;

Error bad(std::string message) { return {Errc::bad_request, std::move(message)}; }

/// What is made of JSON takes many times what its text does: so the text may hold no more than a batch can.
bool is_within_bounds(std::string_view text) {
  constexpr std::size_t kMostDepth = 3;  // the body, its operations, one of them
  constexpr std::size_t kMostParts = 16 * kMaxOperations;
  std::size_t depth = 0;
  std::size_t parts = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMostDepth) return false;
    } else if (c == ']' || c == '}') {
      depth -= depth > 0;
    } else if (c == ',' && ++parts > kMostParts) {
      return false;
    }
  }
  return true;
}

/// Takes the field out of the object; nothing when it is not there.
std::optional<Tree> take(Tree& object, const char* name) {
  const auto at = object.find(name);
  if (at == object.end()) return std::nullopt;
  Tree field = std::move(*at);
  object.erase(at);
  return field;
}

Result<std::optional<std::string>> take_string(Tree& object, const char* name) {
  auto field = take(object, name);
  if (!field) return std::optional<std::string>();
  if (!field->is_string()) return bad(std::string("'") + name + "' must be a string");
  return std::optional(std::move(field->get_ref<std::string&>()));
}

/// What was meant by a field that nobody has taken is not known, so nothing is done.
Result<void> expect_empty(const Tree& object) {
  if (object.empty()) return {};
  return bad("'" + object.begin().key() + "' means nothing here");
}

class Reader {
 public:
  Result<Operation> operation(Tree& json) {
    if (!json.is_object()) return bad("it must be an object");
    const auto name = take_string(json, "op");
    if (!name) return name.error();
    const auto code = code_of(name->value_or(""));
    if (!code) return bad("'op' must be get, put, delete, increment or touch");
    Operation operation;
    operation.code = *code;
    auto key = take_bytes(json, "key");
    if (!key) return key.error();
    if (!*key) return bad("'key' is missing");
    operation.key = keep(std::move(**key));
    if (operation.code == OpCode::put) {
      auto value = take_bytes(json, "value");
      if (!value) return value.error();
      if (!*value) return bad("'value' is missing");
      operation.value = keep(std::move(**value));
      operation.report_created = true;
    }
    if (operation.code == OpCode::increment) {
      const auto by = take(json, "by");
      if (by && !by->is_number_integer()) return bad("'by' must be an integer");
      if (by && by->is_number_unsigned() && by->get<std::uint64_t>() > INT64_MAX)
        return bad("'by' must be a signed 64-bit integer");
      operation.amount = by ? by->get<std::int64_t>() : 1;
    }
    if (operation.code == OpCode::put || operation.code == OpCode::remove) {
      const auto condition = take_condition(json);
      if (!condition) return condition.error();
      operation.condition = *condition;
    }
    if (operation.code == OpCode::put || operation.code == OpCode::touch) {
      const auto text = take_string(json, "ttl");
      if (!text) return text.error();
      const auto ttl = *text ? parse_ttl(**text) : Result<Ttl>(Ttl{});
      if (!ttl) return ttl.error();
      if (operation.code == OpCode::touch && !*text) return bad("'ttl' is missing");
      operation.ttl = *ttl;
    }
    if (auto rest = expect_empty(json); !rest) return rest.error();
    return operation;
  }

  std::shared_ptr<const void> owner() const { return kept_; }

 private:
  static std::optional<OpCode> code_of(std::string_view name) {
    if (name == "get") return OpCode::get;
    if (name == "put") return OpCode::put;
    if (name == "delete") return OpCode::remove;
    if (name == "increment") return OpCode::increment;
    if (name == "touch") return OpCode::touch;
    return std::nullopt;
  }

  static Result<Condition> take_condition(Tree& json) {
    const auto if_match = take_string(json, "if_match");
    if (!if_match) return if_match.error();
    const auto if_none_match = take_string(json, "if_none_match");
    if (!if_none_match) return if_none_match.error();
    Fields fields;
    if (*if_match) fields.if_match = **if_match;
    if (*if_none_match) fields.if_none_match = **if_none_match;
    return write_condition(fields);
  }

  std::string_view keep(std::string bytes) { return kept_->emplace_back(std::move(bytes)); }

  std::shared_ptr<std::deque<std::string>> kept_ = std::make_shared<std::deque<std::string>>();
};

Result<void> read_modes(Tree& json, rpc::Request& request) {
  const auto read = take_string(json, "read");
  if (!read) return read.error();
  const auto read_mode = parse_read_mode(*read ? &**read : nullptr);
  if (!read_mode) return read_mode.error();
  request.read = *read_mode;
  const auto ack = take_string(json, "ack");
  if (!ack) return ack.error();
  const auto ack_mode = parse_ack_mode(*ack ? &**ack : nullptr);
  if (!ack_mode) return ack_mode.error();
  request.ack = *ack_mode;
  if (const auto atomic = take(json, "atomic")) {
    if (!atomic->is_boolean()) return bad("'atomic' must be true or false");
    request.atomic = atomic->get<bool>();
  }
  return {};
}

Json result_json(const Operation& operation, const OperationResult& result) {
  Json json;
  const bool is_creation = operation.code == OpCode::put && result.created;
  json["status"] = is_creation ? 201 : http_status(result.code);
  if (result.version != Position{} && result.code != Errc::not_found) json["etag"] = etag(result.version);
  if (result.code != Errc::ok) {
    json["error"] = {{"code", name_of(result.code)}, {"message", result.message}};
  } else if (!writes(operation) || operation.code == OpCode::increment) {
    set_bytes(json, "value", result.value);
    if (result.ttl_ms != 0) json["ttl_ms"] = result.ttl_ms;
  }
  return json;
}

}  // namespace

Result<rpc::Request> read_batch(std::string_view body) {
  if (!is_within_bounds(body)) return bad("the body holds more than a batch of 4,096 operations can");
  Tree json = Tree::parse(body, nullptr, false);
  if (!json.is_object()) return bad("the body must be a JSON object: {\"operations\": [...]}");
  auto operations = take(json, "operations");
  if (!operations || !operations->is_array() || operations->empty())
    return bad("'operations' must be an array of one operation at least");
  if (operations->size() > kMaxOperations)
    return bad("there are more than " + std::to_string(kMaxOperations) + " operations");
  rpc::Request request;
  if (auto modes = read_modes(json, request); !modes) return modes.error();
  if (auto rest = expect_empty(json); !rest) return rest.error();
  Reader reader;
  request.operations.reserve(operations->size());
  for (std::size_t i = 0; i < operations->size(); ++i) {
    const auto operation = reader.operation((*operations)[i]);
    if (!operation) return bad("operation " + std::to_string(i) + ": " + operation.error().message);
    request.operations.push_back(*operation);
  }
  request.owner = reader.owner();
  return request;
}

void set_once(rpc::Request& request, OnceId id) {
  if (!id) return;
  request.client_id = id.client_id;
  if (request.atomic) request.number = id.number;
  for (std::size_t i = 0; i < request.operations.size() && !request.atomic; ++i)
    request.operations[i].number = id.number + i;
}

std::string batch_json(const std::vector<Operation>& operations, std::span<const OperationResult> results) {
  Json json;
  json["done"] = std::all_of(results.begin(), results.end(),
                             [](const OperationResult& result) { return is_answer(result.code); });
  Json& all = json["results"] = Json::array();
  for (std::size_t i = 0; i < results.size(); ++i) all.push_back(result_json(operations[i], results[i]));
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  text += '\n';
  return text;
}

}  // namespace dkv::http
