"""What the measurements of scripts/bench engine come to: medians, ratios, a table."""

import statistics
import subprocess

from tables import aligned, verdict

KEY_BYTES = 16  # "key:000000000042"


def record_bytes(value_bytes: int) -> int:
    return KEY_BYTES + value_bytes


def result_of(found: dict, value_bytes: int) -> dict:
    """One measurement, per operation and per byte of keys and values that was acknowledged."""
    ops, seconds = found["ops"], found["seconds"]
    acknowledged = ops * record_bytes(value_bytes)
    return {
        "ops_per_second": ops / seconds,
        "bytes_per_second": acknowledged / seconds,
        "seconds": seconds,
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
        "p999_ms": found["p999_ms"],
        "server_cpu_us": found["server_cpu_seconds"] * 1e6 / ops,
        "client_cpu_us": found["cpu_seconds"] * 1e6 / ops,
        "written_per_byte": found["written_bytes"] / acknowledged if found["written_bytes"] is not None else None,
        "sync_bytes": found["sync_bytes"],
        "checkpoints": found["checkpoints"],
        "others_share": found["others_share"],
    }


def summary_of(rounds: list[dict]) -> dict:
    """The median of each figure over the rounds, and the rounds."""
    medians = {}
    for name in rounds[0]:
        values = [one[name] for one in rounds]
        medians[name] = None if None in values else statistics.median(values)
    return {**medians, "rounds": rounds}


def compare(row, systems: dict) -> dict:
    ratios = {}
    for system in row.beside:
        if isinstance(systems[system], dict):
            ratios[system] = systems["ours"]["ops_per_second"] / systems[system]["ops_per_second"]
    first = ratios.get(row.beside[0])
    met = first >= row.goal if row.goal and first is not None else None
    return {"name": row.name, "title": row.title, "goal": row.goal, "ratios": ratios, "met": met, "systems": systems}


HEADINGS = ("", "op/s", "MB/s", "ours is", "goal", "p50 ms", "p99", "p99.9", "server us/op", "client us/op",
            "written/byte", "kB/sync", "checkpoints", "others")


def table(report: dict) -> str:
    lines = [HEADINGS]
    for row in report["rows"]:
        lines.append((row["title"],))
        for system, found in row["systems"].items():
            lines.append(line_of(system, found, row))
    text = aligned(lines)
    if report["restarts"]:
        text.append("\n" + restart_line(report["many_keys"], report["restarts"]))
    return "\n".join(text) + "\n\n" + NOTES


def restart_line(keys: int, restarts: list[dict]) -> str:
    memory, disk, seconds = (statistics.median(one[name] for one in restarts)
                             for name in ("memory_bytes", "disk_bytes", "restart_seconds"))
    return (f"With {keys:,} keys, after that: {memory / 1e6:,.0f} MB of memory beside the page cache, "
            f"{disk / 1e9:.1f} GB on disk; serving again {seconds:.1f} s after kill -9.")


def line_of(system: str, found, row: dict) -> tuple[str, ...]:
    if not isinstance(found, dict):
        return ("  " + system, found, *[""] * (len(HEADINGS) - 2))
    ratio = row["ratios"].get(system)
    goal = ""
    if ratio is not None and row["goal"] and system == next(iter(row["ratios"])):
        goal = f"{row['goal']:.1f}x {verdict(row['met'])}"
    writes = not row["name"].startswith("get")
    synced = found["sync_bytes"] / 1000 if writes and found["sync_bytes"] else None
    return ("  " + system, f"{found['ops_per_second']:,.0f}", f"{found['bytes_per_second'] / 1e6:.1f}",
            "" if ratio is None else f"{ratio:.2f}x", goal, number(found["p50_ms"]), number(found["p99_ms"]),
            number(found["p999_ms"]), number(found["server_cpu_us"]), number(found["client_cpu_us"]),
            number(found["written_per_byte"] if writes else None), number(synced),
            f"{found['checkpoints']:.0f}" if writes else "",
            f"{found['others_share']:.0%}")


def number(value) -> str:
    return "" if value is None else f"{value:.2f}"


NOTES = """\
Medians over the rounds. MB/s: keys and values acknowledged. us/op: processor time, user and system; append and
lmdb have no server. written/byte: bytes that the disk was given, by whoever, per byte acknowledged.
p50, p99, p99.9: of an operation, from sending its frame to its answer. kB/sync: bytes appended (lmdb: put) for each
sync. checkpoints: seen while it was measured; of Redis, rewrites of its file. append-ours: write + fdatasync of as
many bytes at a time as ours had; append-all: of all that the callers have under way.
others: how much of the machine's processors everything else used; far above 0% the figures mean little."""


def redis_version() -> str:
    return subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout.strip()
