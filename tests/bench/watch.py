"""scripts/bench watch: what watches that match nothing cost a write. On one cluster, in turn: writes while nobody watches,
and while 2,000 clients watch prefixes of their own over HTTP and one more has 10,000 subscriptions on the watch port, all
of them at the shard's primary.

The watchers are in this program, and only wait. Every other round takes the two modes in the opposite order."""

import resource
import socket
import statistics
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import zmq
from cluster import PAIR, Cluster
from servers import Failed, Load, Meter, machine, run
from session import conduct, parse_rounds, say
from tables import aligned, verdict

FOLDER = "watch"
PRIMARY = next(iter(PAIR.values()))[0]
MODES = ("unwatched", "watched")
STREAMS, SUBSCRIPTIONS = 2_000, 10_000
GOAL = 0.9  # watched, in times of unwatched
OPEN_SECONDS = 60
SAMPLE_SECONDS = 0.1
WATCH_PORT = 7004


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    batch: int


ROWS = (Row("set-32", "32 callers on one client, one operation each", 1),
        Row("set-32x64", "32 callers on one client, 64 in a frame", 64))


@contextmanager
def watchers(cluster: Cluster):
    """All of them there, and begun."""
    primary = cluster.nodes[PRIMARY]
    with ExitStack() as held:
        streams = [held.enter_context(socket.create_connection((primary.host, 8080), OPEN_SECONDS))
                   for _ in range(STREAMS)]
        for number, stream in enumerate(streams):
            stream.sendall(f"GET /v1/watch?prefix=nobodys-{number:05}- HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        for stream in streams:
            told = b""
            while b"event: open" not in told:
                more = stream.recv(4096)
                if not more:
                    raise Failed(f"a watch has ended: {told.decode(errors='replace')}")
                told += more
        context = held.enter_context(zmq.Context())
        subscriber = held.enter_context(context.socket(zmq.SUB))
        subscriber.linger = 0
        subscriber.sndhwm = 0  # or libzmq drops subscriptions beyond a thousand
        subscriber.rcvtimeo = OPEN_SECONDS * 1000
        subscriber.connect(f"tcp://{primary.host}:{WATCH_PORT}")
        for number in range(SUBSCRIPTIONS - 1):
            subscriber.subscribe(f"kno-ones-{number:06}-".encode())
        wait_for_subscriptions(subscriber, primary)
        yield


def wait_for_subscriptions(subscriber, primary):
    """They arrive in their order: once the last one has, all have."""
    subscriber.subscribe(b"kthe-last-one")
    subscriber.rcvtimeo = 100
    end = time.monotonic() + OPEN_SECONDS
    while time.monotonic() < end:
        primary.ask("/set?key=the-last-one&value=1")
        try:
            subscriber.recv_multipart()
            return
        except zmq.Again:
            pass
    raise Failed("the subscriptions do not arrive")


def measure_one(cluster: Cluster, row: Row, mode: str, keys: int, seconds: float) -> dict:
    primary = cluster.nodes[PRIMARY]
    command = primary.bench("load", "--callers", 32, "--batch", row.batch, "--keys", keys, "--seconds", seconds)
    with ExitStack() as held:
        if mode == "watched":
            held.enter_context(watchers(cluster))
        meter = Meter(cluster.folder, primary)
        with Load(command) as load:
            while not load.has_ended(SAMPLE_SECONDS):
                pass
    if not load.found:
        raise Failed(f"the client failed: {load.problem}")
    found = meter.finish(load.found)
    return {"ops_per_second": found["ops"] / found["seconds"], "p50_ms": found["p50_ms"], "p99_ms": found["p99_ms"],
            "others_share": found["others_share"]}


def measure_all(cluster: Cluster, options) -> dict:
    found: dict[tuple[str, str], list[dict]] = {(row.name, mode): [] for row in ROWS for mode in MODES}
    for number in range(1, options.rounds + 1):
        for row in ROWS:
            for mode in MODES if number % 2 else MODES[::-1]:
                one = measure_one(cluster, row, mode, options.keys, options.seconds)
                found[row.name, mode].append(one)
                say(f"[round {number} of {options.rounds}] {row.name}, {mode}: {one['ops_per_second']:,.0f}/s, p50 "
                    f"{one['p50_ms']:.2f} ms, p99 {one['p99_ms']:.2f} ms")
    return {row.name: {mode: summary_of(found[row.name, mode]) for mode in MODES} for row in ROWS}


def summary_of(rounds: list[dict]) -> dict:
    return {**{name: statistics.median(one[name] for one in rounds) for name in rounds[0]}, "rounds": rounds}


def judge(row: Row, modes: dict) -> dict:
    ratio = modes["watched"]["ops_per_second"] / modes["unwatched"]["ops_per_second"]
    return {"name": row.name, "title": row.title, **modes, "ratio": ratio, "met": ratio >= GOAL}


def table(report: dict) -> str:
    lines = [("", "op/s", "p50 ms", "p99 ms", "others")]
    for row in report["rows"]:
        lines.append((row["title"],))
        for mode in MODES:
            one = row[mode]
            lines.append(("  " + mode, f"{one['ops_per_second']:,.0f}", f"{one['p50_ms']:.2f}", f"{one['p99_ms']:.2f}",
                          f"{one['others_share']:.0%}"))
        lines.append(("  watched is", f"{row['ratio']:.2f}x", "", "", ""))
        lines.append(("  goal", f">= {GOAL:g}x {verdict(row['met'])}", "", "", ""))
    return "\n".join(aligned(lines)) + "\n\n" + NOTES


NOTES = f"""\
Medians over the rounds. watched: {STREAMS:,} event streams over HTTP and {SUBSCRIPTIONS:,} ZeroMQ subscriptions at the
primary, none of which matches a key that is written. others: how much of the machine's processors everything else
used, the replica's node among it."""


def measure(options, run_dir: Path) -> dict:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    say("starting three nodes: a primary, its replica, a keeper")
    with Cluster(run_dir / FOLDER, Path(options.programs).resolve(), PAIR) as cluster:
        run(cluster.nodes[PRIMARY].bench("fill", "--keys", options.keys))
        found = measure_all(cluster, options)
    return {"bench": "watch", "quick": options.quick, "rounds": options.rounds, "seconds": options.seconds,
            "machine": machine(), "rows": [judge(row, found[row.name]) for row in ROWS]}


def main(arguments) -> int:
    options = parse_rounds("scripts/bench watch", arguments)
    return conduct(options, (FOLDER,), lambda run_dir: measure(options, run_dir), table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
