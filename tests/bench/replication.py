"""scripts/bench replication: what the second copy costs. On one cluster, in turn: writes answered when both copies have
them on disk (ack=committed), and when the primary has (ack=local; the replica then follows all the same); and what it
costs that each write is done once, however often it is sent (ack=committed, and a name for each).

Two nodes hold a copy each, the third is only a keeper: one primary with one replica in sync. Every other round takes
the modes in the opposite order."""

import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cluster import DROPPING, PAIR, Cluster
from servers import Failed, Load, Meter, machine, run
from session import conduct, parse_rounds, say
from tables import aligned, verdict

FOLDER = "replication"
SHARD, (PRIMARY, REPLICA) = next(iter(PAIR.items()))
MODES = {"committed": ("--ack", "committed"), "local": ("--ack", "local"),
         "once": ("--ack", "committed", "--exactly-once")}
THROUGHPUT_GOAL, LATENCY_GOAL = 0.6, 2.2  # committed, in times of local
LAG_GOAL_SECONDS, DRAIN_GOAL_SECONDS = 2.0, 1.0
SAMPLE_SECONDS = 0.1
DRAIN_SECONDS = 60  # then the replica does not follow at all


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    batch: int


ROWS = (Row("set-32", "32 callers on one client, one operation each", 1),
        Row("set-32x64", "32 callers on one client, 64 in a frame", 64))


def measure_one(cluster: Cluster, row: Row, mode: str, keys: int, seconds: float) -> dict:
    primary = cluster.nodes[PRIMARY]
    command = primary.bench("load", "--callers", 32, "--batch", row.batch, *MODES[mode], "--keys", keys,
                            "--seconds", seconds)
    meter = Meter(cluster.folder, primary)
    lags = []
    with Load(command) as load:
        while not load.has_ended(SAMPLE_SECONDS):
            lags.append(lag_events(cluster))
    drain = drained_after(cluster, time.monotonic())
    if not load.found:
        raise Failed(f"the client failed: {load.problem}")
    found = meter.finish(load.found)
    rate = found["ops"] / found["seconds"]
    return {"ops_per_second": rate, "p50_ms": found["p50_ms"], "p99_ms": found["p99_ms"],
            "lag_seconds": max(lags) / rate, "drain_seconds": drain, "others_share": found["others_share"]}


def lag_events(cluster: Cluster) -> int:
    """What the primary has given a number, less what the replica has told it that it has on disk."""
    member = cluster.member(PRIMARY, SHARD)
    if member["role"] != "primary":
        raise Failed(f"{PRIMARY} is no longer the primary: {cluster.last_words()}")
    return member["replicas"][0]["lag_events"]


def drained_after(cluster: Cluster, end: float) -> float:
    while lag_events(cluster) > 0:
        if time.monotonic() - end > DRAIN_SECONDS:
            raise Failed(f"the replica has not followed {DRAIN_SECONDS} s after the last write")
        time.sleep(0.005)
    return time.monotonic() - end


def measure_all(cluster: Cluster, options) -> dict:
    found: dict[tuple[str, str], list[dict]] = {(row.name, mode): [] for row in ROWS for mode in MODES}
    for number in range(1, options.rounds + 1):
        for row in ROWS:
            for mode in MODES if number % 2 else reversed(MODES):
                one = measure_one(cluster, row, mode, options.keys, options.seconds)
                found[row.name, mode].append(one)
                say(f"[round {number} of {options.rounds}] {row.name}, {mode}: {one['ops_per_second']:,.0f}/s, p50 "
                    f"{one['p50_ms']:.2f} ms, lag at most {one['lag_seconds']:.2f} s, drained in "
                    f"{one['drain_seconds']:.2f} s")
    return {row.name: {mode: summary_of(found[row.name, mode]) for mode in MODES} for row in ROWS}


def summary_of(rounds: list[dict]) -> dict:
    """Medians over the rounds; of lag and drain, which must not be long even once, the longest."""
    worst = ("lag_seconds", "drain_seconds")
    return {**{name: (max if name in worst else statistics.median)(one[name] for one in rounds) for name in rounds[0]},
            "rounds": rounds}


def judge(row: Row, modes: dict) -> dict:
    committed, local = modes["committed"], modes["local"]
    throughput = committed["ops_per_second"] / local["ops_per_second"]
    latency = committed["p50_ms"] / local["p50_ms"]
    once = modes["once"]["ops_per_second"] / committed["ops_per_second"]
    lag = max(mode["lag_seconds"] for mode in modes.values())
    drain = max(mode["drain_seconds"] for mode in modes.values())
    return {"name": row.name, "title": row.title, **modes, "throughput_ratio": throughput, "latency_ratio": latency,
            "once_ratio": once, "once_latency_ratio": modes["once"]["p50_ms"] / committed["p50_ms"],
            "lag_seconds": lag, "drain_seconds": drain,
            "met": {"throughput": throughput >= THROUGHPUT_GOAL, "latency": latency <= LATENCY_GOAL,
                    "lag": lag < LAG_GOAL_SECONDS, "drain": drain < DRAIN_GOAL_SECONDS}}


def table(report: dict) -> str:
    lines = [("", "op/s", "p50 ms", "p99 ms", "lag s", "drain s", "others")]
    for row in report["rows"]:
        lines.append((row["title"],))
        for mode in MODES:
            one = row[mode]
            lines.append(("  " + mode, f"{one['ops_per_second']:,.0f}", f"{one['p50_ms']:.2f}",
                          f"{one['p99_ms']:.2f}", f"{one['lag_seconds']:.2f}", f"{one['drain_seconds']:.2f}",
                          f"{one['others_share']:.0%}"))
        lines.append(("  committed is, of local", f"{row['throughput_ratio']:.2f}x", f"{row['latency_ratio']:.2f}x", "", "", "", ""))
        lines.append(("  once is, of committed", f"{row['once_ratio']:.2f}x", f"{row['once_latency_ratio']:.2f}x", "", "",
                      "", ""))
        met = row["met"]
        lines.append(("  goal", f">= {THROUGHPUT_GOAL:g}x {verdict(met['throughput'])}",
                      f"<= {LATENCY_GOAL:g}x {verdict(met['latency'])}", "",
                      f"< {LAG_GOAL_SECONDS:g} {verdict(met['lag'])}",
                      f"< {DRAIN_GOAL_SECONDS:g} {verdict(met['drain'])}", ""))
    text = "\n".join(aligned(lines))
    if report["replicas_dropped"]:
        text += (f"\n\nThe replica was dropped from those in sync {report['replicas_dropped']} times: until it was back, "
                 "ack=committed was one copy.")
    return text + "\n\n" + NOTES


NOTES = """\
Medians over the rounds; of lag and drain the longest. lag: events that the primary has numbered and the replica has
not yet told it that it has on disk, over the events of a second. drain: from the client's end until there are none.
others: how much of the machine's processors everything else used, the replica's node among it."""


def measure(options, run_dir: Path) -> dict:
    say("starting three nodes: a primary, its replica, a keeper")
    with Cluster(run_dir / FOLDER, Path(options.programs).resolve(), PAIR) as cluster:
        run(cluster.nodes[PRIMARY].bench("fill", "--keys", options.keys))
        found = measure_all(cluster, options)
        dropped = len(cluster.log_lines(DROPPING))
    return {"bench": "replication", "quick": options.quick, "rounds": options.rounds, "seconds": options.seconds,
            "replicas_dropped": dropped, "machine": machine(), "rows": [judge(row, found[row.name]) for row in ROWS]}


def main(arguments) -> int:
    options = parse_rounds("scripts/bench replication", arguments)
    return conduct(options, (FOLDER,), lambda run_dir: measure(options, run_dir), table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
