"""scripts/bench failover: how long a shard cannot be written when its primary's process is killed, and, with --calm,
whether replicas leave a primary alone that is only busy.

Three nodes, three shards in a ring. A client begins a write to one shard every few milliseconds, whatever became of
those before. A round: kill -9 of that shard's primary; time until a write is acknowledged in a newer epoch, as the
client sees it; the killed node is started again; wait until every replica is in sync again."""

import argparse
import json
import queue
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from cluster import DROPPING, RING, TAKING_OVER, Cluster
from servers import Failed, Load, machine
from session import add_common_options, conduct, say
from tables import aligned, verdict

FOLDER = "failover"
SHARD = "shard-1"
GOAL_SECONDS = {"standard": 2.0, "fast": 0.7}
TAKE_OVER_SECONDS = 30  # then the round has failed
REST_SECONDS = 1  # between rounds, so that heartbeats do not stand where the last round has left them


class Trickle:
    """The client: a context, whose lines are read as they come."""

    def __init__(self, cluster: Cluster):
        self.command = [str(cluster.programs / "distrikv-bench"), "trickle", "--endpoints", cluster.endpoints(),
                        "--shard", SHARD]
        self.lines: queue.Queue[dict | None] = queue.Queue()
        self.epoch = 0
        self.summary: dict = {}

    def __enter__(self):
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *self.command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()
        self.first_of_a_newer_epoch()
        return self

    def read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def first_of_a_newer_epoch(self) -> float:
        """When the first write was acknowledged in an epoch newer than those before; on time.monotonic()'s clock."""
        try:
            line = self.lines.get(timeout=TAKE_OVER_SECONDS)
        except queue.Empty:
            raise Failed(f"no write was acknowledged within {TAKE_OVER_SECONDS} s") from None
        if line is None or "epoch" not in line:
            raise Failed("the client has ended")
        self.epoch = line["epoch"]
        return line["at_ns"] / 1e9

    def finish(self) -> dict:
        """Waits for what is under way. How many writes were acknowledged, and how many ended how."""
        self.process.stdin.close()
        while (line := self.lines.get(timeout=TAKE_OVER_SECONDS)) is not None:
            self.summary = line
        if self.process.wait() != 0 or "acknowledged" not in self.summary:
            raise Failed("the client has failed")
        return self.summary

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def fail_over(cluster: Cluster, trickle: Trickle) -> dict:
    killed = cluster.shard(SHARD)["primary"]
    begin = time.monotonic()
    cluster.nodes[killed].kill()
    seconds = trickle.first_of_a_newer_epoch() - begin
    cluster.nodes[killed].launch()
    back = cluster.wait_until_in_sync()
    return {"killed": killed, "seconds": seconds, "in_sync_again_seconds": back}


def kill_primaries(cluster: Cluster, rounds: int) -> dict:
    found = []
    with Trickle(cluster) as trickle:
        for number in range(1, rounds + 1):
            time.sleep(REST_SECONDS)
            found.append(fail_over(cluster, trickle))
            say(f"[round {number} of {rounds}] {found[-1]['killed']} killed; a write acknowledged after "
                f"{found[-1]['seconds']:.2f} s, in sync again {found[-1]['in_sync_again_seconds']:.1f} s after its start")
        writes = trickle.finish()
    median = statistics.median(one["seconds"] for one in found)
    goal = GOAL_SECONDS[cluster.failover]
    return {"rounds": found, "median_seconds": median, "goal_seconds": goal, "met": median <= goal, "writes": writes}


def stay_calm(cluster: Cluster, minutes: float) -> dict:
    """Full load and nobody killed: every take-over is a false one."""
    epochs = {shard["name"]: shard["epoch"] for shard in cluster.topology()["shards"]}
    before = {phrase: len(cluster.log_lines(phrase)) for phrase in (TAKING_OVER, DROPPING)}
    node = next(iter(cluster.nodes.values()))
    begin = time.monotonic()
    loads, problems, changes, said = [], [], 0, begin
    while (left := begin + minutes * 60 - time.monotonic()) > 0:
        # Another one, when a take-over has left a write's outcome unknown.
        with Load(node.bench("load", "--callers", 32, "--batch", 64, "--seconds", left)) as load:
            while not load.has_ended(0.5):
                shards = cluster.topology()["shards"]
                changes += sum(shard["epoch"] != epochs[shard["name"]] for shard in shards)
                epochs = {shard["name"]: shard["epoch"] for shard in shards}
                if time.monotonic() - said >= 60:
                    said = time.monotonic()
                    say(f"[{(said - begin) / 60:.0f} of {minutes:g} minutes] {changes} take-overs")
            (loads if load.found else problems).append(load.found or load.problem)
    taken, dropped = (cluster.log_lines(phrase)[before[phrase]:] for phrase in (TAKING_OVER, DROPPING))
    found = {"minutes": (time.monotonic() - begin) / 60, "epochs_begun": changes, "take_overs": len(taken),
             "replicas_dropped": len(dropped), "problems": problems, "log": taken + dropped,
             "met": changes == 0 and not taken and not problems}
    if loads:
        found |= {"operations_per_second": loads[-1]["ops"] / loads[-1]["seconds"], "p50_ms": loads[-1]["p50_ms"],
                  "p999_ms": loads[-1]["p999_ms"]}
    return found


def table(report: dict) -> str:
    title = f"failover = \"{report['failover']}\", three nodes on one machine"
    text = [title, ""]
    if killed := report["killed"]:
        text += aligned([
            ("seconds, of " + str(len(killed["rounds"])) + " rounds", "median", "min", "max", "goal"),
            line("kill -9 to the first write acknowledged", [one["seconds"] for one in killed["rounds"]],
                 f"<= {killed['goal_seconds']:g} {verdict(killed['met'])}"),
            line("start to in sync again", [one["in_sync_again_seconds"] for one in killed["rounds"]], "")])
        writes = killed["writes"]
        text += ["", f"Writes, one begun every 5 ms: {writes['acknowledged']:,} acknowledged, {writes['unknown']} of "
                     f"unknown outcome (under way to a process that was killed), {writes['failed']} failed."]
    if calm := report["calm"]:
        text += [*([""] if killed else []),
                 f"{calm['minutes']:.1f} minutes of full load, nobody killed: {calm['take_overs']} take-overs (goal: 0, "
                 f"{verdict(calm['met'])}), {calm['epochs_begun']} epochs begun, replicas dropped as silent "
                 f"{calm['replicas_dropped']} times."]
        if "p50_ms" in calm:
            text += [f"Meanwhile {calm['operations_per_second']:,.0f} writes/s, p50 {calm['p50_ms']:.1f} ms, "
                     f"p99.9 {calm['p999_ms']:.1f} ms."]
        text += [f"The client ended: {problem}" for problem in calm["problems"]]
    return "\n".join(text)


def line(what: str, seconds: list[float], goal: str) -> tuple[str, ...]:
    return (what, *(f"{one:.2f}" for one in (statistics.median(seconds), min(seconds), max(seconds))), goal)


def measure(options, run_dir: Path) -> dict:
    failover = "fast" if options.fast else "standard"
    report = {"bench": "failover", "failover": failover, "quick": options.quick, "machine": machine(), "killed": None,
              "calm": None}
    say(f"starting three nodes with failover = \"{failover}\"")
    with Cluster(run_dir / FOLDER, Path(options.programs).resolve(), RING, failover) as cluster:
        if options.rounds:
            report["killed"] = kill_primaries(cluster, options.rounds)
        if options.calm:
            report["calm"] = stay_calm(cluster, options.calm)
    return report


def parse(arguments):
    parser = argparse.ArgumentParser(prog="scripts/bench failover", allow_abbrev=False)
    add_common_options(parser)
    parser.add_argument("--rounds", type=int, help="kills (default: 10; 2 with --quick; none with --calm)")
    parser.add_argument("--fast", action="store_true", help="with failover = \"fast\" in the topology file")
    parser.add_argument("--calm", type=float, default=0.0, metavar="MINUTES", help="full load, nobody is killed")
    options = parser.parse_args(arguments)
    if options.calm < 0:
        parser.error("--calm takes minutes above 0")
    if options.rounds is None:
        options.rounds = 0 if options.calm else 2 if options.quick else 10
    if options.rounds < 0 or options.rounds == options.calm == 0:
        parser.error("--rounds takes a number above 0")
    return options


def main(arguments) -> int:
    options = parse(arguments)
    return conduct(options, (FOLDER,), lambda run_dir: measure(options, run_dir), table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
