#include "gateway/cli/commands.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include "topology/endpoint.hpp"
#include "topology/toml.hpp"

namespace dkv::cli {

namespace {

// The primaries of topology/india.toml, which scripts/run-multi starts.
constexpr const char* kDefaultNodes = "127.0.0.2:7001,127.0.0.3:7001,127.0.0.4:7001,127.0.0.5:7001";

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

/// Node endpoints that a person wrote in `place`, in their canonical spelling.
Result<std::vector<std::string>> read_endpoints(const std::vector<std::string>& texts,
                                                const std::string& place) {
  std::vector<std::string> endpoints;
  for (const std::string& text : texts) {
    const Result<Endpoint> endpoint = read_endpoint(text);
    if (!endpoint) {
      return Error{Errc::bad_request,
                   place + ": \"" + text + "\" is not HOST:PORT, such as 127.0.0.2:7001 or [::1]:7001"};
    }
    endpoints.push_back(to_string(*endpoint));
  }
  return endpoints;
}

}  // namespace

Result<std::string> read_stdin(std::size_t most_bytes) {
  std::string text;
  std::array<char, 65536> buffer{};
  while (text.size() <= most_bytes) {
    const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), stdin);
    if (std::ferror(stdin) != 0) {
      return Error{Errc::bad_request,
                   std::string("cannot read stdin: ") + std::strerror(errno) + "; nothing was stored"};
    }
    if (count == 0) break;
    text.append(buffer.data(), count);
  }
  return text;
}

Result<ClientOptions> client_options(const Options& options) {
  ClientOptions made;
  made.deadline = std::chrono::milliseconds(static_cast<std::int64_t>(options.timeout_seconds * 1000));
  made.ack = options.ack;
  if (!options.nodes.empty()) {
    auto seeds = read_endpoints(options.nodes, "--node");
    if (!seeds) return seeds.error();
    made.seeds = *std::move(seeds);
  } else if (!options.topology_file.empty()) {
    const auto topology = load_topology(options.topology_file);
    // The file was named on the command line: whatever is wrong with it is a matter of usage.
    if (!topology) return Error{Errc::bad_request, topology.error().message};
    for (const NodeInfo& node : topology->nodes) made.seeds.push_back(node.rpc);
  } else {
    const char* named = std::getenv("DISTRIKV_NODES");
    auto seeds =
        read_endpoints(split(named != nullptr && *named != '\0' ? named : kDefaultNodes), "DISTRIKV_NODES");
    if (!seeds) return seeds.error();
    made.seeds = *std::move(seeds);
  }
  return made;
}

int exit_code_of(Errc code) {
  switch (code) {
    case Errc::ok:
      return kOk;
    case Errc::not_found:
    case Errc::condition_failed:
    case Errc::not_a_counter:
      return kNotFound;
    case Errc::bad_request:
    case Errc::too_large:
    case Errc::reused:
      return kUsage;
    default:
      return kUnavailable;
  }
}

int report(const Error& error, bool json) {
  const std::string code(name_of(error.code));
  std::fprintf(stderr, "distrikv: %s: %s\n", code.c_str(), error.message.c_str());
  if (json) print({{"error", {{"code", code}, {"message", error.message}}}});
  return exit_code_of(error.code);
}

void print(const Json& json) {
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace);
  std::printf("%s\n", text.c_str());
}

Result<CallOptions> call_options(const Options& options, ReadMode read) {
  CallOptions call(read);
  if (!options.once.empty()) call.once = OnceId::of(options.once);
  if (options.session_file.empty()) return call;
  std::ifstream file(options.session_file);
  std::string token;
  std::getline(file, token);
  auto session = parse_session(token);
  if (!session) return Error{Errc::bad_request, options.session_file + ": " + session.error().message};
  call.session = std::make_shared<Session>(std::move(*session));
  return call;
}

Result<void> keep_session(const Options& options, const CallOptions& call) {
  if (!call.session) return {};
  // Renamed into its place, so that another command never reads half of it.
  const std::string next = options.session_file + ".next-" + std::to_string(getpid());
  std::ofstream file(next);
  file << to_string(*call.session) << '\n';
  file.close();
  if (file && std::rename(next.c_str(), options.session_file.c_str()) == 0) return {};
  std::remove(next.c_str());
  return Error{Errc::io_error, options.session_file + ": the session cannot be written"};
}

}  // namespace dkv::cli
