// What people write and what comes over HTTP.
#include "gateway/http/batch.hpp"
#include "gateway/http/conditions.hpp"
#include "gateway/http/head.hpp"
#include "gateway/http/scan.hpp"
#include "gateway/http/target.hpp"
#include "tests/fuzz/target.hpp"
#include "topology/codec.hpp"
#include "topology/endpoint.hpp"
#include "topology/toml.hpp"

namespace dkv::fuzz {
namespace {

using namespace dkv::http;

void toml(std::string_view bytes) {
  const auto topology = parse_topology(bytes, "fuzz.toml");
  if (!topology) {
    require(!topology.error().message.empty(), "a refusal says why");
    return;
  }
  require(decode_topology(encode(*topology)).has_value(), "a topology from a file can be told to others");
}

void endpoint(std::string_view bytes) {
  for (const auto& read : {read_endpoint(bytes), parse_endpoint(bytes)}) {
    if (!read) continue;
    const auto again = parse_endpoint(to_string(*read));
    require(again.has_value() && *again == *read, "an endpoint is the same once more");
  }
}

void http_target(std::string_view bytes) {
  const auto raw = percent_decode(percent_encode_path(bytes), false);
  require(raw.has_value() && *raw == bytes, "bytes are the same behind percent-encoding");
  const auto target = parse_target(bytes);
  if (!target) return;
  percent_decode(target->path, false);
  Parameters parameters;
  if (parameters.add(target->query, {"key", "value", "read", "ack", "ttl", "by"})) {
    for (const auto* name : {"key", "value", "read", "ack", "ttl", "by"}) parameters.find(name);
  }
  if (const auto scan = read_scan(*target)) {
    require(scan->limit >= 1 && scan->limit <= kMaxScanItems, "a page has a limit");
    range_of(*scan);
  }
}

/// Whether bytes come at once or in two pieces, the same is read.
void http_head(std::string_view bytes) {
  HeadLimits limits;
  limits.line_bytes = 256;
  limits.head_bytes = 1024;
  limits.headers = 8;
  HeadScanner at_once(limits);
  const auto whole = at_once.scan(bytes);
  HeadScanner piecewise(limits);
  const auto half = piecewise.scan(bytes.substr(0, bytes.size() / 2));
  const auto* early = std::get_if<std::optional<std::size_t>>(&half);
  if (early != nullptr && !*early) {
    require(piecewise.scan(bytes).index() == whole.index(), "a head in pieces is judged as one in one piece");
  }
  const auto* length = std::get_if<std::optional<std::size_t>>(&whole);
  if (length == nullptr || !*length) return;
  require(**length <= bytes.size(), "a head ends where bytes are");
  const auto parsed = parse_head(bytes.substr(0, **length), limits);
  if (const auto* head = std::get_if<Head>(&parsed)) {
    require(head->content_length <= limits.body_bytes, "a body has a limit");
    http_target(Exact(head->target));
    write_condition(head->fields);
    known_version(head->fields);
  }
}

/// The first line is If-Match, what follows is If-None-Match.
void http_conditions(std::string_view bytes) {
  const std::size_t end = bytes.find('\n');
  Fields fields;
  if (end != 0) fields.if_match = bytes.substr(0, end);
  if (end != std::string_view::npos) fields.if_none_match = bytes.substr(end + 1);
  write_condition(fields);
  fields.session = fields.if_match;
  fields.idempotency_key = fields.if_none_match;
  session_of(fields);
  if (const auto id = once_id(fields))
    require(!fields.idempotency_key || *id, "a name is none that means nothing");
  fields.if_match.reset();
  if (const auto known = known_version(fields); known && known->version) {
    fields.if_none_match.reset();
    const std::string tag = etag(*known->version);
    fields.if_match = tag;
    const auto again = write_condition(fields);
    require(again.has_value() && again->version == *known->version, "an ETag is the same once more");
  }
}

void http_batch(std::string_view bytes) {
  const auto request = read_batch(bytes);
  if (!request) return;
  bool is_valid = true;
  for (const Operation& operation : request->operations) is_valid &= check(operation, 1024).has_value();
  std::uint64_t id = 0;
  if (is_valid)
    require(rpc::decode_request(rpc::encode(*request), id).has_value(),
            "a batch that is taken can be sent on");
  const std::vector<OperationResult> results(request->operations.size());
  batch_json(request->operations, results);
}

}  // namespace

const std::vector<Target> kHttp = {{"toml", toml},
                                   {"endpoint", endpoint},
                                   {"http_head", http_head},
                                   {"http_target", http_target},
                                   {"http_conditions", http_conditions},
                                   {"http_batch", http_batch}};

}  // namespace dkv::fuzz
