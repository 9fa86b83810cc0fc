"""scripts/bench engine: our node beside redis-server, LMDB and bare system calls, on this machine, in turn.

A round gives every system its turn; the next round takes them in the opposite order, so that a disk that
gets slower, or a neighbour that gets busier, does not always hit the same one. Medians are over rounds."""

import argparse
import json
import shutil
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import engine_report as report
from engine_servers import Ours, Redis
from servers import Meter, machine, run
from session import add_common_options, conduct, say

VALUE_BYTES = 100
SYSTEMS = ("ours", "redis", "append-ours", "append-all", "lmdb")
SERVERS = ("ours", "redis")
CHECKPOINTS = 3  # of ours, that a durable run lasts at least
NOT_INSTALLED = "not installed"


@dataclass(frozen=True)
class Work:
    """What a system is given to do."""

    operation: str  # set or get
    callers: int
    batch: int  # operations that each caller sends together
    keys: int
    separate: bool = False  # ours: a connection for each caller


@dataclass(frozen=True)
class Row:
    """A line of the comparison: ours at some work beside others at the same."""

    name: str
    title: str
    work: Work
    beside: tuple[str, ...]
    goal: float | None  # ours is to reach so many times the first beside it

    def work_of(self, system: str) -> Work:
        if system not in SERVERS:
            # One thread, so all that the callers have under way is one batch.
            return replace(self.work, callers=1, batch=self.work.callers * self.work.batch, separate=False)
        return replace(self.work, separate=self.work.separate and system == "ours")


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    keys: int
    many_keys: int
    write_seconds: float
    read_seconds: float
    append_seconds: float
    checkpoints: int

    def seconds(self, system: str, work: Work) -> float:
        if system.startswith("append"):
            return self.append_seconds
        return self.read_seconds if work.operation == "get" else self.write_seconds


FULL = Scale(1_000_000, 10_000_000, 60, 12, 15, CHECKPOINTS)
QUICK = Scale(20_000, 100_000, 1, 1, 1, 0)


def rows(scale: Scale) -> tuple[Row, ...]:
    few, many = scale.keys, scale.many_keys
    return (
        Row("set-32", "durable SET, 32 callers on one client", Work("set", 32, 1, few), ("redis",), 1.2),
        Row("set-32-connections", "durable SET, 32 connections", Work("set", 32, 1, few, True), ("redis",), None),
        Row("set-32x64", "durable SET, 32 callers, 64 in a frame", Work("set", 32, 64, few), ("redis",), 2.0),
        Row("get-32", "GET, 32 callers on one client", Work("get", 32, 1, few), ("redis",), 1.2),
        Row("get-32x64", "GET, 32 callers, 64 in a frame", Work("get", 32, 64, few), ("redis",), 1.0),
        Row("log-1000", "durable SET, 1,000 callers on one client", Work("set", 1000, 1, few),
            ("append-ours", "append-all"), 0.5),
        Row("sustained", f"durable SET, {many:,} keys, 32 callers, 64 in a frame", Work("set", 32, 64, many),
            ("redis", "lmdb"), None),
    )


class Progress:
    """Says what is being done, and how long all of it will take, by how long it has taken so far."""

    FILL_RATE = 200_000  # keys a second, about

    def __init__(self, steps):
        self.steps = steps
        self.done = 0
        self.planned_done = 0.0
        self.start = time.monotonic()

    @staticmethod
    def cost(step) -> float:
        _, _, _, work, seconds = step
        return seconds + 1 if work else seconds

    def left(self) -> str:
        planned_left = sum(self.cost(step) for step in self.steps[self.done:])
        pace = (time.monotonic() - self.start) / self.planned_done if self.planned_done > 60 else 1
        left = planned_left * max(pace, 0.5)
        return f"{left / 60:.0f} min left" if left >= 90 else f"{left:.0f} s left"

    def begin(self):
        number, rounds, what, _, seconds = self.steps[self.done]
        following = self.steps[self.done + 1][2] if self.done + 1 < len(self.steps) else "the table"
        say(f"[round {number} of {rounds}, step {self.done + 1} of {len(self.steps)}, {self.left()}] {what}, "
            f"about {seconds:.0f} s; then {following}")

    def end(self, found: dict | None):
        self.planned_done += self.cost(self.steps[self.done])
        self.done += 1
        if found:
            others = f" (others kept {found['others_share']:.0%} of the machine busy)"
            say(f"    {found['ops_per_second']:,.0f} operations/s{others if found['others_share'] > 0.1 else ''}")


class Engine:
    def __init__(self, options, folder: Path):
        self.scale = QUICK if options.quick else FULL
        self.rows = [row for row in rows(self.scale) if not options.only or row.name in options.only]
        self.rounds = options.rounds
        self.programs = Path(options.programs).resolve()
        self.folder = folder
        self.systems = [system for system in SYSTEMS if system != "redis" or Redis.is_installed()]
        self.found: dict[tuple[str, Work], list[dict]] = {}
        self.restarts: list[dict] = []  # of ours, with many keys, a round each
        self.synced_together = 1  # records that ours wrote per sync where append-ours is to do as much

    def works_of(self, system: str, keys: int) -> list[Work]:
        wanted = (row.work_of(system) for row in self.rows
                  if row.work.keys == keys and (system == "ours" or system in row.beside))
        return list(dict.fromkeys(wanted))  # each once, in their order

    def sessions(self, number: int):
        """(system, keys, works) of a round: what a system does between its start and its end."""
        systems = self.systems if number % 2 == 1 else self.systems[::-1]
        for keys in (self.scale.keys, self.scale.many_keys):
            for system in systems:
                if works := self.works_of(system, keys):
                    yield system, keys, works

    def measure_all(self):
        steps = []
        for number in range(1, self.rounds + 1):
            for system, keys, works in self.sessions(number):
                if system in SERVERS:
                    steps.append((number, self.rounds, f"{system}: {keys:,} keys to begin with", None,
                                  2 + keys / Progress.FILL_RATE))
                for work in works:
                    filling = keys / Progress.FILL_RATE if system == "lmdb" else 0  # by the same program
                    steps.append((number, self.rounds, f"{system}: {describe(system, work)}", work,
                                  self.scale.seconds(system, work) + filling))
        progress = Progress(steps)
        for number in range(1, self.rounds + 1):
            for system, keys, works in self.sessions(number):
                if system in SERVERS:
                    self.serve(system, keys, works, progress)
                else:
                    self.measure_alone(system, works[0], progress)

    def serve(self, system: str, keys: int, works: list[Work], progress: Progress):
        progress.begin()
        folder = self.folder / system
        with Ours(folder, self.programs) if system == "ours" else Redis(folder) as server:
            server.fill(keys, VALUE_BYTES)
            progress.end(None)
            for work in works:
                progress.begin()
                found = server.measure(work, VALUE_BYTES, self.scale.seconds(system, work), self.scale.checkpoints)
                self.note(system, work, found, progress)
                if any("append-ours" in row.beside and row.work == work for row in self.rows):
                    self.synced_together = round((found["sync_bytes"] or 0) / report.record_bytes(VALUE_BYTES)) or 1
            if system == "ours" and keys == self.scale.many_keys:
                self.restarts.append(server.size_and_restart())

    def measure_alone(self, system: str, work: Work, progress: Progress):
        progress.begin()
        folder = self.folder / system
        folder.mkdir()
        batch = self.synced_together if system == "append-ours" else work.batch
        meter = Meter(folder)
        found = meter.finish(json.loads(run([
            str(self.programs / "distrikv-bench"), system.split("-")[0], "--folder", str(folder), "--batch", str(batch),
            "--keys", str(work.keys), "--value-bytes", str(VALUE_BYTES),
            "--seconds", str(self.scale.seconds(system, work))])))
        shutil.rmtree(folder)
        found["sync_bytes"] = batch * report.record_bytes(VALUE_BYTES)
        self.note(system, work, found, progress)

    def note(self, system: str, work: Work, found: dict, progress: Progress):
        result = report.result_of(found, VALUE_BYTES)
        self.found.setdefault((system, work), []).append(result)
        progress.end(result)

    def report(self) -> dict:
        lines = []
        for row in self.rows:
            systems = {}
            for system in ("ours", *row.beside):
                rounds = self.found.get((system, row.work_of(system)))
                systems[system] = report.summary_of(rounds) if rounds else NOT_INSTALLED
            lines.append(report.compare(row, systems))
        return {"bench": "engine", "rounds": self.rounds, "quick": self.scale is QUICK, "value_bytes": VALUE_BYTES,
                "machine": machine(), "redis": report.redis_version() if "redis" in self.systems else None,
                "many_keys": self.scale.many_keys, "restarts": self.restarts, "rows": lines}


def describe(system: str, work: Work) -> str:
    if system not in SERVERS:
        return "batches as ours had" if system == "append-ours" else f"batches of {work.batch:,}"
    callers = "connections" if work.separate else "callers"
    together = f", {work.batch:,} together" if work.batch > 1 else ""
    return f"{work.operation.upper()}, {work.callers:,} {callers}{together}"


def parse(arguments):
    names = [row.name for row in rows(FULL)]
    parser = argparse.ArgumentParser(prog="scripts/bench engine", allow_abbrev=False)
    add_common_options(parser)
    parser.add_argument("--rounds", type=int, help="turns of each system (default: 3; 1 with --quick)")
    parser.add_argument("--only", help="rows to measure, of " + ", ".join(names))
    options = parser.parse_args(arguments)
    if options.rounds is None:
        options.rounds = 1 if options.quick else 3
    if options.rounds < 1:
        parser.error("--rounds takes a number above 0")
    options.only = options.only.split(",") if options.only else []
    if unknown := [name for name in options.only if name not in names]:
        parser.error(f"there is no row {unknown[0]}: " + ", ".join(names))
    return options


def measure(options, run_dir: Path) -> dict:
    engine = Engine(options, run_dir)
    if "redis" not in engine.systems:
        say("redis-server is not installed: its columns stay empty (scripts/install-dependencies --bench).")
    engine.measure_all()
    return engine.report()


def main(arguments) -> int:
    options = parse(arguments)
    return conduct(options, SYSTEMS, lambda run_dir: measure(options, run_dir), report.table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
