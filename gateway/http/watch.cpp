#include "gateway/http/watch.hpp"

#include "gateway/http/conditions.hpp"
#include "gateway/http/scan.hpp"
#include "gateway/json_bytes.hpp"
#include "messages/limits.hpp"

namespace dkv::http {

namespace {
using Json = nlohmann::ordered_json;

std::string lines(std::string_view name, const Json& data) {
  return "event: " + std::string(name) + "\ndata: " + data.dump() + "\n";
}
}  // namespace

Result<WatchAsked> read_watch(const Target& target, const Fields& fields) {
  Parameters parameters;
  if (const auto added = parameters.add(target.query, {"prefix", "after", "keys_only"}); !added)
    return added.error();
  WatchAsked asked;
  if (const std::string* prefix = parameters.find("prefix")) asked.prefix = *prefix;
  if (asked.prefix.size() > kMaxKeyBytes)
    return Error{Errc::bad_request, "the parameter 'prefix' is longer than any key"};
  const auto keys_only = read_flag(parameters, "keys_only");
  if (!keys_only) return keys_only.error();
  asked.keys_only = *keys_only;
  // A client that connects again by itself sends the header; it has come further than its URL says.
  const std::string* after = parameters.find("after");
  const std::string_view place = fields.last_event_id ? *fields.last_event_id
                                 : after              ? *after
                                                      : std::string_view();
  auto from = parse_positions(place);
  if (!from) {
    return Error{Errc::bad_request,
                 std::string(fields.last_event_id ? "Last-Event-ID" : "the parameter 'after'") + " is " +
                     from.error().message};
  }
  asked.from = std::move(*from);
  return asked;
}

std::string event_data(const WatchedEvent& event, bool keys_only) {
  Json data = Json::object();
  const bool is_put = event.type == EventType::put;
  set_bytes(data, "key", event.key);
  if (is_put && !keys_only) set_bytes(data, "value", event.value);
  data["etag"] = etag(event.position);
  return lines(is_put ? "put" : "delete", data);
}

std::string gap_data(const WatchNews& gap) {
  const bool is_old = gap.kind == WatchNews::Kind::too_old;
  Json data = Json::object();
  data["shard"] = gap.shard_name;
  data["reason"] = is_old ? "too_old" : "diverged";
  data["message"] =
      is_old ? "events were left out: the shard's log no longer reaches back to them. What follows "
               "has come after; read the keys again"
             : "events were left out: the shard's history is another one than was watched. What "
               "follows has come after; read the keys again";
  return lines("gap", data);
}

}  // namespace dkv::http
