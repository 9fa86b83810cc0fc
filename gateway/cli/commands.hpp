// The commands of `distrikv`, after their arguments were read. Each prints its answer on stdout, what went
// wrong on stderr, and returns the program's exit code.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gateway/client/client.hpp"

namespace dkv::cli {

inline constexpr int kOk = 0;
inline constexpr int kNotFound = 1;  // or what was asked of the key does not hold
inline constexpr int kProblems = 1;  // of `check`
inline constexpr int kUsage = 2;
inline constexpr int kUnavailable = 3;

using Json = nlohmann::ordered_json;

/// What every command that talks to a cluster is given.
struct Options {
  std::vector<std::string> nodes;  // rpc endpoints
  std::string topology_file;       // or the file that names them
  double timeout_seconds = 5;
  AckMode ack = AckMode::committed;  // of writes
  std::string once;                  // a name that a write is done once by; empty: none
  std::string session_file;          // holds a session's token; empty: none
  bool json = false;
};

// key_commands.cpp
int get(const Options& options, const std::string& key, bool from_replica);
/// The value "-" stands for all of stdin.
int set(const Options& options, const std::string& key, const std::string& value, const Condition& condition,
        const Ttl& ttl);
int del(const Options& options, const std::string& key, const Condition& condition);
/// Prints what is left of the record's time to live, "forever" where nothing ends it.
int show_ttl(const Options& options, const std::string& key);
int touch(const Options& options, const std::string& key, const Ttl& ttl);
int incr(const Options& options, const std::string& key, std::int64_t amount);

// data_commands.cpp
/// All records that the options allow, or the first `most`, page by page. Plain: a line "key TAB value" each.
int scan(const Options& options, ScanOptions what, std::uint64_t most);
/// How export writes records and import reads them; README.md has both.
enum class Format { json, msgpack };
int export_records(const Options& options, ScanOptions what, Format format);
/// From stdin.
int import_records(const Options& options, Format format);

/// What happens to keys, a line for each event, until it is ended, or `most` of them. `after`: see
/// client/watch.hpp.
int watch(const Options& options, const std::string& prefix, const std::string& after, bool keys_only,
          std::uint64_t most);

/// JSON on stdin, as POST /v1/batch takes it; its answer on stdout.
int batch(const Options& options);

// status_command.cpp
int status(const Options& options);

// primary_commands.cpp
/// `to`: a node's name, or empty for any.
int failover(const Options& options, const std::string& shard, const std::string& to);
int promote(const Options& options, const std::string& shard, const std::string& to, bool force, bool yes);

// topology_commands.cpp
/// From the file when one is given, else from the cluster. `plain`: a line for each node, for scripts.
int show_topology(const Options& options, bool plain);
int new_topology(std::uint32_t shards, std::uint32_t replicas, const std::string& base,
                 const std::string& store, const std::string& failover);

// check_command.cpp
/// Of a stopped node's data folder.
int check(const std::string& path, bool json);

// commands.cpp: what they share.

/// All of stdin, up to so many bytes and one more: whoever takes it then refuses it. Errors: bad_request
/// where it cannot be read to its end, so that half of it never stands for all.
Result<std::string> read_stdin(std::size_t most_bytes);
/// Seeds in this order: --node, --topology, DISTRIKV_NODES, the first nodes of the sample cluster.
Result<ClientOptions> client_options(const Options& options);
int exit_code_of(Errc code);
/// Says it on stderr, and on stdout as JSON where that is wanted; returns the exit code.
int report(const Error& error, bool json);
void print(const Json& json);

/// Calls `command` with a client, or reports why there is none.
template <class Command>
int with_client(const Options& options, Command command) {
  auto made = client_options(options);
  if (!made) return report(made.error(), options.json);
  Client client(std::move(*made));
  return command(client);
}

/// What a call is to carry: the name and the session of the options. Errors: bad_request, of a file that
/// holds no token.
Result<CallOptions> call_options(const Options& options, ReadMode read);
/// Where it was read from, for the next command. Errors: io_error.
Result<void> keep_session(const Options& options, const CallOptions& call);

/// The same for commands whose calls carry something.
template <class Command>
int with_call(const Options& options, ReadMode read, Command command) {
  const auto call = call_options(options, read);
  if (!call) return report(call.error(), options.json);
  return with_client(options, [&](Client& client) {
    const int code = command(client, *call);
    const auto kept = keep_session(options, *call);
    return kept ? code : report(kept.error(), options.json);
  });
}

}  // namespace dkv::cli
