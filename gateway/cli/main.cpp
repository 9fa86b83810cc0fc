// `distrikv`: the command line of a cluster. This file only reads arguments; the commands are in the
// other files of this folder.
#include <CLI/CLI.hpp>
#include <charconv>

#include "gateway/cli/commands.hpp"
#include "gateway/standard_streams.hpp"

namespace dkv::cli {
namespace {

constexpr const char* kExitCodes =
    "\nExit codes: 0 found or done, 1 no such key, or a condition that does not hold, 2 wrong usage, 3 "
    "unavailable\n(also: a write whose outcome is unknown; the message says so).\n";

constexpr double kMinTimeoutSeconds = 0.001;
constexpr double kMaxTimeoutSeconds = 86400;
// A primary may wait for its replica for five seconds before it says that it will not hand over.
constexpr double kPrimaryTimeoutSeconds = 10;

struct Arguments {
  Options options;
  std::string key;
  std::string value;
  bool from_replica = false;
  Ttl ttl{};
  std::string ttl_text;
  Condition condition;
  std::int64_t amount = 1;
  ScanOptions what;
  std::uint64_t most = UINT64_MAX;
  std::string after;
  Format format = Format::json;
  bool plain = false;
  std::string data;
  std::uint32_t shards = 0;
  std::uint32_t replicas = 1;
  std::string base;
  std::string store = "lmdb";
  std::string failover = "standard";
  std::string shard;
  std::string to;
  bool force = false;
  bool yes = false;
};

/// What is wrong with it, or nothing. (CLI::Range lets NaN pass.)
std::string check_timeout(const std::string& text) {
  double seconds = 0;
  const char* const last = text.data() + text.size();
  const auto [end, failure] = std::from_chars(text.data(), last, seconds);
  const bool fits =
      failure == std::errc{} && end == last && seconds >= kMinTimeoutSeconds && seconds <= kMaxTimeoutSeconds;
  return fits ? "" : '"' + text + "\" is not a number of seconds from 0.001 to 86400";
}

void add_cluster_options(CLI::App& command, Arguments& arguments) {
  auto* nodes =
      command.add_option("--node", arguments.options.nodes,
                         "rpc endpoint HOST:PORT of a node to ask first; may be repeated. Default: the "
                         "environment variable DISTRIKV_NODES (separated by commas), else "
                         "127.0.0.2:7001 to 127.0.0.5:7001");
  nodes->type_name("HOST:PORT")->allow_extra_args(false);
  command.add_option("--topology", arguments.options.topology_file, "ask the nodes of this topology file")
      ->type_name("FILE")
      ->excludes(nodes);
  command.add_option("--timeout", arguments.options.timeout_seconds, "give up after so many seconds")
      ->type_name("SECONDS")
      ->check(check_timeout)
      ->capture_default_str();
  command.add_flag("--json", arguments.options.json, "print JSON");
}

void add_key(CLI::App& command, Arguments& arguments) {
  command.add_option("KEY", arguments.key, "1 to 480 bytes; put -- before one that starts with a dash")
      ->required()
      ->type_name("");
}

void add_conditions(CLI::App& command, Condition& condition, bool may_be_missing) {
  using Kind = Condition::Kind;
  auto* group = command.add_option_group("Only", "Do it only if this holds");
  group->require_option(0, 1);
  group
      ->add_option_function<std::string>(
          "--if-version",
          [&condition](const std::string& text) {
            const auto version = parse_position(text);
            if (!version)
              throw CLI::ValidationError("--if-version", '"' + text + "\" is no version, like 7-1042");
            condition = {Kind::version, *version};
          },
          "the key has a record of this version")
      ->type_name("VERSION");
  group->add_flag_callback(
      "--if-exists", [&condition] { condition.kind = Kind::exists; }, "the key exists");
  if (!may_be_missing) return;
  group->add_flag_callback(
      "--if-missing", [&condition] { condition.kind = Kind::missing; }, "the key does not exist");
}

/// An option that takes one of two words: `usual` is what it is without.
template <class Value>
void add_choice(CLI::App& command, const char* name, Value& chosen, std::pair<const char*, Value> usual,
                std::pair<const char*, Value> other, const char* text) {
  command
      .add_option_function<std::string>(
          name,
          [&chosen, usual, other](const std::string& word) {
            chosen = word == other.first ? other.second : usual.second;
          },
          text)
      ->check(CLI::IsMember({usual.first, other.first}))
      ->type_name("");
}

void add_ack(CLI::App& command, Arguments& arguments) {
  add_choice<AckMode>(
      command, "--ack", arguments.options.ack, {"committed", AckMode::committed}, {"local", AckMode::local},
      "committed (on every copy in sync before this returns: the default), or local: on the primary's disk "
      "alone, where a failover may lose it");
}

void add_once(CLI::App& command, Arguments& arguments) {
  command
      .add_option(
          "--once", arguments.options.once,
          "a name, by which this is done once however often it is sent: for ten minutes it is answered with "
          "its first outcome")
      ->check([](const std::string& text) {
        const bool fits = !text.empty() && text.size() <= kMaxIdempotencyKeyBytes;
        return std::string(fits ? "" : "it must have 1 to 255 characters");
      })
      ->type_name("NAME");
}

void add_session(CLI::App& command, Arguments& arguments) {
  command
      .add_option(
          "--session", arguments.options.session_file,
          "go on with the session in this file (a new one where there is none): --replica then shows nothing "
          "older than it has seen")
      ->type_name("FILE");
}

void add_format(CLI::App& command, Arguments& arguments) {
  add_choice<Format>(command, "--format", arguments.format, {"json", Format::json},
                     {"msgpack", Format::msgpack},
                     "json (lines: the default) or msgpack (smaller, and faster)");
}

void add_ttl(CLI::Option& option, Ttl& ttl) {
  option.type_name("");
  option.each([&ttl, name = option.get_name()](const std::string& text) {
    const auto parsed = parse_ttl(text);
    if (!parsed) throw CLI::ValidationError(name, parsed.error().message);
    ttl = *parsed;
  });
}

void add_key_commands(CLI::App& app, Arguments& arguments, int& result) {
  CLI::App* get_command = app.add_subcommand("get", "Prints a key's value, byte for byte.");
  add_key(*get_command, arguments);
  get_command->add_flag("--replica", arguments.from_replica,
                        "let any copy answer: something committed, perhaps not the newest");
  add_session(*get_command, arguments);
  add_cluster_options(*get_command, arguments);
  get_command->footer(
      "\nExamples:\n  distrikv get city\n  distrikv get photo.jpg >photo.jpg\n"
      "  distrikv get city --json --node 127.0.0.2:7001\n" +
      std::string(kExitCodes));
  get_command->callback([&] { result = get(arguments.options, arguments.key, arguments.from_replica); });

  CLI::App* set_command = app.add_subcommand("set", "Stores a value; it is durable when this returns.");
  add_key(*set_command, arguments);
  set_command
      ->add_option("VALUE", arguments.value, "the value; - reads it from stdin, any bytes, up to 16 MiB")
      ->required()
      ->type_name("");
  add_ttl(*set_command->add_option("--ttl", arguments.ttl_text,
                                   "remove it after so long, like 30s or 7d; or keep what is left"),
          arguments.ttl);
  add_conditions(*set_command, arguments.condition, true);
  add_ack(*set_command, arguments);
  add_once(*set_command, arguments);
  add_session(*set_command, arguments);
  add_cluster_options(*set_command, arguments);
  set_command->footer(
      "\nExamples:\n  distrikv set city Delhi\n  distrikv set photo.jpg - <photo.jpg\n"
      "  distrikv set leader me --if-missing\n  distrikv set city Mumbai --if-version 7-1042\n"
      "  distrikv set session/42 data --ttl 30m\n"
      "  distrikv set city Delhi --session mine && distrikv get city --replica --session mine\n"
      "  distrikv set number -- -5\n" +
      std::string(kExitCodes));
  set_command->callback([&] {
    result = set(arguments.options, arguments.key, arguments.value, arguments.condition, arguments.ttl);
  });

  CLI::App* del_command = app.add_subcommand("del", "Removes a key.");
  add_key(*del_command, arguments);
  add_conditions(*del_command, arguments.condition, false);
  add_ack(*del_command, arguments);
  add_once(*del_command, arguments);
  add_session(*del_command, arguments);
  add_cluster_options(*del_command, arguments);
  del_command->footer("\nExamples:\n  distrikv del city\n" + std::string(kExitCodes));
  del_command->callback([&] { result = del(arguments.options, arguments.key, arguments.condition); });

  CLI::App* ttl_command = app.add_subcommand("ttl", "Prints how long a record has yet to live.");
  add_key(*ttl_command, arguments);
  add_cluster_options(*ttl_command, arguments);
  ttl_command->footer("\nIn milliseconds, or \"forever\".\n\nExamples:\n  distrikv ttl session/42\n" +
                      std::string(kExitCodes));
  ttl_command->callback([&] { result = show_ttl(arguments.options, arguments.key); });

  CLI::App* touch_command = app.add_subcommand("touch", "Gives a record another time to live.");
  add_key(*touch_command, arguments);
  add_ttl(*touch_command
               ->add_option("TTL", arguments.ttl_text, "from now on: 500ms, 30s, 5m, 12h, 7d, or forever")
               ->required(),
          arguments.ttl);
  add_ack(*touch_command, arguments);
  add_once(*touch_command, arguments);
  add_session(*touch_command, arguments);
  add_cluster_options(*touch_command, arguments);
  touch_command->footer(
      "\nExamples:\n  distrikv touch session/42 30m\n  distrikv touch session/42 forever\n" +
      std::string(kExitCodes));
  touch_command->callback([&] { result = touch(arguments.options, arguments.key, arguments.ttl); });

  CLI::App* incr_command = app.add_subcommand("incr", "Adds to a number, and prints what it is then.");
  add_key(*incr_command, arguments);
  incr_command->add_option("BY", arguments.amount, "what is added; a missing key counts as 0")
      ->type_name("")
      ->capture_default_str();
  add_ack(*incr_command, arguments);
  add_once(*incr_command, arguments);
  add_session(*incr_command, arguments);
  add_cluster_options(*incr_command, arguments);
  incr_command->footer(
      "\nExamples:\n  distrikv incr visits\n  distrikv incr stock -- -3\n"
      "  distrikv incr stock --once order-17 -- -3\n" +
      std::string(kExitCodes));
  incr_command->callback([&] { result = incr(arguments.options, arguments.key, arguments.amount); });
}

void add_range(CLI::App& command, ScanOptions& what) {
  command.add_option("PREFIX", what.prefix, "only keys that begin with it")->type_name("");
  command.add_option("--start", what.start, "only keys from this one on")->type_name("KEY");
  command.add_option("--end", what.end, "only keys before this one")->type_name("KEY");
}

void add_data_commands(CLI::App& app, Arguments& arguments, int& result) {
  CLI::App* scan_command =
      app.add_subcommand("scan", "Prints records in the order of their keys: KEY, a tab, VALUE.");
  add_range(*scan_command, arguments.what);
  scan_command->add_option("--limit", arguments.most, "at most so many (default: all)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  scan_command->add_flag("--reverse", arguments.what.reverse, "from the last one down");
  scan_command->add_flag("--keys-only", arguments.what.keys_only, "leave the values out");
  scan_command->add_flag_callback(
      "--replica", [&arguments] { arguments.what.read = ReadMode::replica; },
      "let any copy answer: something committed, perhaps not the newest");
  add_session(*scan_command, arguments);
  add_cluster_options(*scan_command, arguments);
  scan_command->footer(
      "\nWith --json a line of JSON for each record.\n\n"
      "Examples:\n  distrikv scan user/\n  distrikv scan --start b --end c --keys-only\n"
      "  distrikv scan log/ --reverse --limit 10\n" +
      std::string(kExitCodes));
  scan_command->callback([&] { result = scan(arguments.options, arguments.what, arguments.most); });

  CLI::App* export_command =
      app.add_subcommand("export", "Prints all records, as lines of JSON or msgpack, which `import` reads.");
  add_range(*export_command, arguments.what);
  add_format(*export_command, arguments);
  add_cluster_options(*export_command, arguments);
  export_command->footer(
      "\nExamples:\n  distrikv export >all.jsonl\n  distrikv export user/ >users.jsonl\n"
      "  distrikv export --format msgpack >all.msgpack\n" +
      std::string(kExitCodes));
  export_command->callback(
      [&] { result = export_records(arguments.options, arguments.what, arguments.format); });

  CLI::App* import_command =
      app.add_subcommand("import", "Stores records from stdin: lines of JSON, or msgpack.");
  add_format(*import_command, arguments);
  add_ack(*import_command, arguments);
  add_cluster_options(*import_command, arguments);
  import_command->footer(
      "\nEach line is {\"key\": ..., \"value\": ...}, or with \"key_b64\", \"value_b64\" for bytes that are "
      "no text; "
      "other\nfields are ignored. Importing the same again is safe.\n\n"
      "Examples:\n  distrikv import <all.jsonl\n  distrikv import --format msgpack <all.msgpack\n" +
      std::string(kExitCodes));
  import_command->callback([&] { result = import_records(arguments.options, arguments.format); });
}

void add_watch_command(CLI::App& app, Arguments& arguments, int& result) {
  CLI::App* command =
      app.add_subcommand("watch", "Prints what happens to keys, as it happens, until it is ended.");
  command->add_option("PREFIX", arguments.what.prefix, "only keys that begin with it")->type_name("");
  command->add_flag("--keys-only", arguments.what.keys_only, "leave the values out");
  command
      ->add_option("--after", arguments.after,
                   "go on after this PLACE, which an earlier watch has printed (--json)")
      ->type_name("PLACE");
  command->add_option("--limit", arguments.most, "end after so many changes")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  add_cluster_options(*command, arguments);
  command->footer(
      "\nA line for each change: \"put\", a tab, KEY, a tab, VALUE; or \"delete\", a tab, KEY. With --json, "
      "a line "
      "of JSON\nwith the version and the place behind it. Changes of one shard are in their order, and none "
      "is left "
      "out or\nrepeated, whatever happens to nodes; where some had to be left out, a line on stderr says so "
      "(--json: "
      "an event\n\"gap\").\n\n"
      "Examples:\n  distrikv watch\n  distrikv watch user/ --json\n  distrikv watch --after "
      "1:7-1042,2:5-33\n" +
      std::string(kExitCodes));
  command->callback([&] {
    result = watch(arguments.options, arguments.what.prefix, arguments.after, arguments.what.keys_only,
                   arguments.most);
  });
}

void add_batch_command(CLI::App& app, Arguments& arguments, int& result) {
  CLI::App* command = app.add_subcommand("batch", "Does many operations at once, from JSON on stdin.");
  add_once(*command, arguments);
  add_session(*command, arguments);
  add_cluster_options(*command, arguments);
  command->footer(
      "\nThe JSON is that of POST /v1/batch (gateway/http/README.md), and so is what it "
      "prints.\n\nExamples:\n"
      "  echo '{\"operations\": [{\"op\": \"get\", \"key\": \"city\"},\n"
      "                         {\"op\": \"put\", \"key\": \"a\", \"value\": \"1\"}]}' | distrikv batch\n\n"
      "Exit codes: 0 all done, 1 a condition that does not hold, 2 wrong usage or JSON, 3 unavailable.\n");
  command->callback([&] { result = batch(arguments.options); });
}

void add_status_command(CLI::App& app, Arguments& arguments, int& result) {
  CLI::App* command = app.add_subcommand(
      "status", "Asks every node how it is, and says what is wrong and what to do about it.");
  add_cluster_options(*command, arguments);
  command->footer(
      "\nExamples:\n  distrikv status\n  distrikv status --topology topology/india.toml --timeout 1\n"
      "  distrikv status --json\n\n"
      "Exit codes: 0 every shard is served, 2 wrong usage, 3 a shard is not served, or no node answers.\n");
  command->callback([&] { result = status(arguments.options); });
}

void add_failover_command(CLI::App& app, Arguments& arguments, int& result) {
  CLI::App* command =
      app.add_subcommand("failover", "Hands a shard over to an in-sync replica, without losing a write.");
  command->add_option("SHARD", arguments.shard, "the shard's name")->required()->type_name("");
  command->add_option("--to", arguments.to, "the node that is to lead (default: any that is in sync)")
      ->type_name("NODE");
  add_cluster_options(*command, arguments);
  command->footer(
      "\nThe primary stops reads and writes of the shard, waits until the replica has everything, and the "
      "register\nmakes that one primary: clients wait for some tenths of a second and go on there.\n\n"
      "--timeout is 10 here where it is not given.\n\n"
      "Examples:\n  distrikv failover delhi\n  distrikv failover delhi --to delhi-replica\n\n"
      "Exit codes: 0 done, 2 wrong usage, 3 unavailable, or the outcome is unknown (the message says "
      "which).\n");
  command->callback([&, command] {
    if (command->count("--timeout") == 0) arguments.options.timeout_seconds = kPrimaryTimeoutSeconds;
    result = failover(arguments.options, arguments.shard, arguments.to);
  });
}

void add_promote_command(CLI::App& app, Arguments& arguments, int& result) {
  CLI::App* command = app.add_subcommand(
      "promote", "Makes a copy primary that may lack acknowledged writes, where no other is left.");
  command->add_option("SHARD", arguments.shard, "the shard's name")->required()->type_name("");
  command->add_option("--to", arguments.to, "the node that is to lead")->required()->type_name("NODE");
  command->add_flag("--force", arguments.force, "do it; without this it only says what would be lost");
  command->add_flag("--yes", arguments.yes, "do not ask for the shard's name to be typed");
  add_cluster_options(*command, arguments);
  command->footer(
      "\nFor a shard whose in-sync members are lost for good. Those lead again by themselves once they run, "
      "with "
      "all\nthat was acknowledged: so start them if you can. A copy that is not in sync lacks what was "
      "written "
      "since.\n\n"
      "Examples:\n  distrikv promote delhi --to delhi-replica            (says what would be lost)\n"
      "  distrikv promote delhi --to delhi-replica --force\n\n"
      "Exit codes: 0 done, 2 wrong usage, not forced or not confirmed, 3 unavailable, or the outcome is "
      "unknown.\n");
  command->callback([&, command] {
    if (command->count("--timeout") == 0) arguments.options.timeout_seconds = kPrimaryTimeoutSeconds;
    result = promote(arguments.options, arguments.shard, arguments.to, arguments.force, arguments.yes);
  });
}

void add_check_command(CLI::App& app, Arguments& arguments, int& result) {
  CLI::App* command = app.add_subcommand(
      "check", "Reads all that a stopped node has on disk, and says whether it is as it was written.");
  command->add_option("DATA_DIR", arguments.data, "the node's data folder; nothing in it is changed")
      ->required()
      ->type_name("")
      ->check([](const std::string& text) { return std::string(text.empty() ? "it is empty" : ""); });
  command->add_flag("--json", arguments.options.json, "print JSON");
  command->footer(
      "\nFor every shard copy: each turn and frame of the log and each page and record of the store against "
      "its\n"
      "checksums, and whether log and store fit together. What is wrong is named by file and offset, with "
      "what to\n"
      "do about it.\n\n"
      "Examples:\n  distrikv check /var/lib/distrikv/delhi\n  distrikv check /var/lib/distrikv/delhi "
      "--json\n\n"
      "Exit codes: 0 sound, 1 problems found, 2 wrong usage, 3 cannot be checked (no data folder, or in "
      "use).\n");
  command->callback([&] { result = check(arguments.data, arguments.options.json); });
}

void add_topology_commands(CLI::App& app, Arguments& arguments, int& result) {
  CLI::App* topology =
      app.add_subcommand("topology", "Shows a cluster's topology, or writes a file for a new one.");
  topology->require_subcommand(1);
  CLI::App* show = topology->add_subcommand("show", "Nodes, shards, and who owns how many slots.");
  add_cluster_options(*show, arguments);
  show->add_flag("--plain", arguments.plain, "for scripts: a line NAME HTTP RPC ROLES for each node");
  show->footer(
      "\nWith --topology it shows the file and asks no node.\n\nExamples:\n  distrikv topology show\n"
      "  distrikv topology show --topology topology/india.toml\n  distrikv topology show --json\n\n"
      "Exit codes: 0 shown, 2 wrong usage or a wrong file, 3 no node answers.\n");
  show->callback([&] { result = show_topology(arguments.options, arguments.plain); });

  CLI::App* create = topology->add_subcommand("new", "Prints a topology file for a new cluster.");
  create->add_option("--shards", arguments.shards, "number of shards")->required()->type_name("N");
  create->add_option("--replicas", arguments.replicas, "replicas of each shard")
      ->type_name("R")
      ->capture_default_str();
  create->add_option("--base", arguments.base, "IPv4 address of the first node; the others follow it")
      ->required()
      ->type_name("ADDRESS");
  create->add_option("--store", arguments.store, "where shards keep their data: on disk, or in memory")
      ->check(CLI::IsMember({"lmdb", "memory"}))
      ->capture_default_str();
  create->add_option("--failover", arguments.failover, "how soon a replica takes over from a silent primary")
      ->check(CLI::IsMember({"standard", "fast"}))
      ->capture_default_str();
  create->footer(
      "\nExamples:\n  distrikv topology new --shards 8 --replicas 1 --base 127.0.1.1 >big.toml\n\n"
      "Exit codes: 0 printed, 2 wrong usage.\n");
  create->callback([&] {
    result = new_topology(arguments.shards, arguments.replicas, arguments.base, arguments.store,
                          arguments.failover);
  });
}

/// The app, or the command of commands, that was given none; nullptr when none is missing.
const CLI::App* without_command(const CLI::App& app) {
  if (app.get_require_subcommand_min() == 0) return nullptr;
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? &app : without_command(*chosen.front());
}

/// CLI11 says only that a command is required: this names the word that is none, and those that are.
int report_no_command(const CLI::App& app, const CLI::App& at) {
  const std::vector<std::string> words = app.remaining(true);
  std::string problem = "a command is missing";
  if (!words.empty())
    problem =
        (words.front().starts_with('-') ? "unknown option \"" : "unknown command \"") + words.front() + '"';
  std::string commands;
  for (const CLI::App* command : at.get_subcommands({})) {
    commands += (commands.empty() ? "" : ", ") + command->get_name();
  }
  const std::string whose = &at == &app ? "" : " of " + at.get_name();
  std::fprintf(stderr, "distrikv: %s; the commands%s are %s\nRun with --help for more information.\n",
               problem.c_str(), whose.c_str(), commands.c_str());
  return kUsage;
}

int run(int argc, char** argv) {
  Arguments arguments;
  int result = kOk;
  CLI::App app("The command line of a distri-kv cluster.", "distrikv");
  app.set_version_flag("--version", std::string("distrikv ") + DKV_VERSION);
  app.require_subcommand(1);
  app.footer(
      "\nExamples:\n  distrikv set city Delhi\n  distrikv get city\n  distrikv status\n\n"
      "distrikv COMMAND --help tells more.\n" +
      std::string(kExitCodes));
  add_key_commands(app, arguments, result);
  add_data_commands(app, arguments, result);
  add_watch_command(app, arguments, result);
  add_batch_command(app, arguments, result);
  add_status_command(app, arguments, result);
  add_failover_command(app, arguments, result);
  add_promote_command(app, arguments, result);
  add_topology_commands(app, arguments, result);
  add_check_command(app, arguments, result);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version come this way too, with code 0.
    const CLI::App* at = error.get_exit_code() == 0 ? nullptr : without_command(app);
    if (at != nullptr) return report_no_command(app, *at);
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    std::fprintf(stderr, "distrikv: cannot write to stdout\n");
    return kUnavailable;
  }
  return result;
}

}  // namespace
}  // namespace dkv::cli

int main(int argc, char** argv) {
  dkv::keep_standard_streams();
  return dkv::cli::run(argc, argv);
}
