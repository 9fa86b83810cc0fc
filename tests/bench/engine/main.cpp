// `distrikv-bench`: what scripts/bench measures with. Each sub-command is one measurement, and prints it as
// JSON.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tests/bench/engine/floors.hpp"
#include "tests/bench/engine/load.hpp"
#include "tests/bench/engine/trickle.hpp"

namespace dkv::bench {
namespace {

int report(const Error& error) {
  std::fprintf(stderr, "error: %s: %s\n", std::string(name_of(error.code)).c_str(), error.message.c_str());
  return 1;
}

int report(const Result<Outcome>& outcome) {
  if (!outcome) return report(outcome.error());
  nlohmann::ordered_json json{{"ops", outcome->ops},
                              {"seconds", outcome->seconds},
                              {"p50_ms", outcome->latency.percentile_ms(0.5)},
                              {"p99_ms", outcome->latency.percentile_ms(0.99)},
                              {"p999_ms", outcome->latency.percentile_ms(0.999)},
                              {"cpu_seconds", outcome->cpu_seconds},
                              {"batches", outcome->batches},
                              {"checkpoints", outcome->checkpoints}};
  if (outcome->written_bytes) json["written_bytes"] = *outcome->written_bytes;
  std::printf("%s\n", json.dump().c_str());
  return 0;
}

void add_space(CLI::App& command, KeySpace& space) {
  command.add_option("--keys", space.keys, "how many keys there are")->check(CLI::Range(1UL, 1UL << 31));
  command.add_option("--value-bytes", space.value_bytes)->check(CLI::Range(1UL, 1UL << 20));
}

int run(int argc, char** argv) {
  CLI::App app("Measures one thing and prints it as one line of JSON. scripts/bench puts them together.");
  app.require_subcommand(1);
  Load load;
  Trickle trickle;
  std::string folder;
  int code = 0;

  CLI::App* loads = app.add_subcommand("load", "random operations on a node");
  loads->add_option("--endpoint", load.endpoint, "the node's rpc endpoint, HOST:PORT")->required();
  loads->add_flag("--gets", load.gets, "reads instead of writes");
  loads->add_flag("--exactly-once", load.exactly_once, "each write has a name, by which it is done once");
  loads->add_option("--ack", load.ack, "when a write is answered: committed or local")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, AckMode>{{"committed", AckMode::committed}, {"local", AckMode::local}}));
  loads->add_flag("--separate", load.separate, "a connection and a thread for each caller");
  loads->add_option("--callers", load.callers)->check(CLI::Range(1UL, 4096UL));
  loads->add_option("--batch", load.batch, "operations in a frame")->check(CLI::Range(1UL, 4096UL));
  loads->add_option("--seconds", load.seconds);
  loads->add_option("--checkpoints", load.checkpoints,
                    "goes on, up to four times as long, until it saw so many");
  add_space(*loads, load.space);
  loads->callback([&] { code = report(run_load(load)); });

  CLI::App* fills = app.add_subcommand("fill", "puts every key once, in order");
  fills->add_option("--endpoint", load.endpoint, "the node's rpc endpoint, HOST:PORT")->required();
  add_space(*fills, load.space);
  fills->callback([&] { code = report(fill(load.endpoint, load.space)); });

  CLI::App* trickles = app.add_subcommand(
      "trickle",
      "writes to one shard at a steady pace until standard input ends, and tells of new primaries");
  trickles->add_option("--endpoints", trickle.endpoints, "rpc endpoints of nodes")
      ->required()
      ->delimiter(',');
  trickles->add_option("--shard", trickle.shard)->required();
  trickles->add_option("--every-ms", trickle.every_ms)->check(CLI::Range(1, 1000));
  trickles->callback([&] {
    if (const auto done = run_trickle(trickle); !done) code = report(done.error());
  });

  const auto add_floor = [&](const char* name, const char* what, auto measure) {
    CLI::App* command = app.add_subcommand(name, what);
    command->add_option("--folder", folder, "an empty folder")->required()->check(CLI::ExistingDirectory);
    command->add_option("--batch", load.batch, "records in a batch")->check(CLI::Range(1UL, 1UL << 20));
    command->add_option("--seconds", load.seconds);
    add_space(*command, load.space);
    command->callback([&, measure] { code = report(measure(folder, load.space, load.batch, load.seconds)); });
  };
  add_floor("append", "appends batches of records to a file, fdatasync after each", run_append);
  add_floor("lmdb", "random puts into a filled LMDB, a commit for each batch", run_lmdb);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return code;
}

}  // namespace
}  // namespace dkv::bench

int main(int argc, char** argv) { return dkv::bench::run(argc, argv); }
