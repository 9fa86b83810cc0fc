// The command `watch`.
#include <cstdio>

#include "gateway/cli/commands.hpp"
#include "gateway/client/watch.hpp"
#include "gateway/json_bytes.hpp"

namespace dkv::cli {

namespace {

/// Every node's HTTP door.
Result<std::vector<std::string>> doors(const Options& options) {
  auto made = client_options(options);
  if (!made) return made.error();
  Client client(std::move(*made));
  const auto topology = client.topology();
  if (!topology) return topology.error();
  std::vector<std::string> endpoints;
  for (const NodeInfo& node : (*topology)->nodes) endpoints.push_back(node.http);
  return endpoints;
}

const char* name_of(WatchEvent::Kind kind) {
  constexpr const char* kNames[] = {"open", "put", "delete", "gap"};
  return kNames[static_cast<std::size_t>(kind)];
}

void print_json(const WatchEvent& event, bool keys_only, const std::string& place) {
  Json json;
  json["event"] = name_of(event.kind);
  if (!event.key.empty()) {
    set_bytes(json, "key", event.key);
    if (event.kind == WatchEvent::Kind::put && !keys_only) set_bytes(json, "value", event.value);
    json["version"] = to_string(event.version);
  }
  if (!event.text.empty()) json["message"] = event.text;
  json["place"] = place;
  std::printf("%s\n", json.dump().c_str());
}

void print_line(const WatchEvent& event, bool keys_only) {
  if (event.kind == WatchEvent::Kind::gap) {
    std::fprintf(stderr, "distrikv: %s\n", event.text.c_str());
    return;
  }
  if (event.kind == WatchEvent::Kind::open) return;
  std::fputs(name_of(event.kind), stdout);
  std::fputc('\t', stdout);
  std::fwrite(event.key.data(), 1, event.key.size(), stdout);
  if (event.kind == WatchEvent::Kind::put && !keys_only) {
    std::fputc('\t', stdout);
    std::fwrite(event.value.data(), 1, event.value.size(), stdout);
  }
  std::fputc('\n', stdout);
}

}  // namespace

int watch(const Options& options, const std::string& prefix, const std::string& after, bool keys_only,
          std::uint64_t most) {
  auto nodes = doors(options);
  if (!nodes) return report(nodes.error(), options.json);
  Watch watch({std::move(*nodes), prefix, after, keys_only});
  const auto patience = std::chrono::milliseconds(static_cast<std::int64_t>(options.timeout_seconds * 1000));
  bool has_begun = false;
  while (most > 0) {
    const auto event = watch.next(has_begun ? std::chrono::hours(1) : patience);
    if (!event && has_begun && event.error().code == Errc::unavailable) continue;
    if (!event) return report(event.error(), options.json);
    has_begun = true;
    if (options.json) {
      print_json(*event, keys_only, watch.place());
    } else {
      print_line(*event, keys_only);
    }
    // As it happens, also into a pipe; and whoever reads it may have gone.
    if (std::fflush(stdout) != 0) return kOk;
    if (event->kind == WatchEvent::Kind::put || event->kind == WatchEvent::Kind::remove) --most;
  }
  return kOk;
}

}  // namespace dkv::cli
