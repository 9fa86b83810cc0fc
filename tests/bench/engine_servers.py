"""The two servers that scripts/bench engine compares, on 127.0.0.1, never both at once."""

import json
import shutil
import socket
import struct
import time
from pathlib import Path

from servers import PORTS, Failed, Meter, Node, Server, run

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Ours(Node):
    """One distrikvd with one shard."""

    # Of the log (actors/shard/log_segment.hpp): a segment's header; a turn's marker, and how that begins; of a frame
    # (messages/README.md), its header, and at most the numbers that its body begins with.
    SEGMENT_HEADER_BYTES, MARKER_BYTES, MARKER = 48, 24, struct.Struct("<4sI")
    FRAME_HEADER_BYTES, MOST_NUMBERS_BYTES = 20, 32

    def __init__(self, folder: Path, programs: Path):
        super().__init__(folder, programs, "solo", HOST, dict(zip(PORTS, free_ports(len(PORTS)))))

    def topology(self) -> str:
        return f'[cluster]\nname = "bench"\n{self.table()}[[shard]]\nname = "all"\nprimary = "solo"\n'

    def fill(self, keys: int, value_bytes: int):
        run(self.bench("fill", "--keys", keys, "--value-bytes", value_bytes))

    def measure(self, work, value_bytes: int, seconds: float, checkpoints: int) -> dict:
        command = self.bench("load", "--callers", work.callers, "--batch", work.batch, "--keys", work.keys,
                             "--value-bytes", value_bytes, "--seconds", seconds)
        command += ["--separate"] if work.separate else []
        command += ["--gets"] if work.operation == "get" else ["--checkpoints", str(checkpoints)]
        begin = self.log_end()
        meter = Meter(self.folder, self)
        found = meter.finish(json.loads(run(command)))
        return {**found, "sync_bytes": self.bytes_per_sync(begin)}

    def size_and_restart(self) -> dict:
        """What all the data takes, and how long it takes until the node serves again after a kill -9."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        anonymous = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:"))
        disk = sum(file.stat().st_blocks * 512 for file in self.folder.glob("data/**/*") if file.is_file())
        self.kill()
        begin = time.monotonic()
        self.start()
        return {"memory_bytes": anonymous * 1024, "disk_bytes": disk, "restart_seconds": time.monotonic() - begin}

    def segments(self) -> list[Path]:
        return sorted(self.folder.glob("data/shard-all/log-*"))

    def turns(self, segment: Path, start: int) -> tuple[int, int]:
        """How many turns follow in a segment, and where the last of them ends. Behind it may stand turns of the file's
        earlier life: they follow an older event than those before them."""
        count, at, newest = 0, start, -1
        try:
            with open(segment, "rb") as file:
                while True:
                    file.seek(at)
                    begin = file.read(self.MARKER_BYTES + self.FRAME_HEADER_BYTES + self.MOST_NUMBERS_BYTES)
                    if len(begin) < self.MARKER_BYTES + self.FRAME_HEADER_BYTES or not begin.startswith(b"dkvt"):
                        break
                    _, length = self.MARKER.unpack_from(begin)
                    follows = self.previous_seq(begin[self.MARKER_BYTES + self.FRAME_HEADER_BYTES:])
                    if follows <= newest:
                        break
                    count, at, newest = count + 1, at + self.MARKER_BYTES + length, follows
        except FileNotFoundError:
            pass  # freed by a checkpoint just now
        return count, at

    @staticmethod
    def previous_seq(body: bytes) -> int:
        """Of a frame's body (messages/README.md), [epoch, previous epoch, previous seq, ...]."""
        at = 1
        for _ in range(3):
            width = {0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8}.get(body[at], 0)
            number = int.from_bytes(body[at + 1:at + 1 + width], "big") if width else body[at]
            at += 1 + width
        return number

    def log_end(self) -> tuple[Path, int]:
        newest = self.segments()[-1]
        return newest, self.turns(newest, self.SEGMENT_HEADER_BYTES)[1]

    def bytes_per_sync(self, begin: tuple[Path, int]) -> float | None:
        """On average, of what came after this place of the log and is still there. A turn is what was written and
        synced at once."""
        turns, size = 0, 0
        for segment in self.segments():
            if segment >= begin[0]:
                start = begin[1] if segment == begin[0] else self.SEGMENT_HEADER_BYTES
                count, end = self.turns(segment, start)
                turns, size = turns + count, size + end - start
        return size / turns if turns else None


class Redis(Server):
    """A redis-server that syncs every write before it answers. Apart from that it is as it comes: it rewrites its
    file now and then, as we write checkpoints."""

    name = "redis-server"
    PROGRAMS = ("redis-server", "redis-benchmark", "redis-cli")
    # The keys of redis-benchmark, in order. One call is one write and one sync, so that this takes no longer
    # than it must.
    FILL = ("for i = ARGV[1], ARGV[2] do redis.call('SET', string.format('key:%012d', i), ARGV[3]) end")
    FILL_BATCH = 100_000
    CALIBRATION_SECONDS = 3

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.port = str(free_ports(1)[0])

    @classmethod
    def is_installed(cls) -> bool:
        return all(shutil.which(program) for program in cls.PROGRAMS)

    def command(self):
        return ["redis-server", "--bind", HOST, "--port", self.port, "--dir", str(self.folder), "--save", "",
                "--appendonly", "yes", "--appendfsync", "always"]

    def ask(self, *command: str) -> str:
        return run(["redis-cli", "-e", "-h", HOST, "-p", self.port, *command])

    def is_ready(self):
        try:
            return self.ask("PING").strip() == "PONG"
        except Failed:
            return False

    def persistence(self) -> dict[str, str]:
        return dict(line.split(":") for line in self.ask("INFO", "persistence").split() if ":" in line)

    def fill(self, keys: int, value_bytes: int):
        for first in range(0, keys, self.FILL_BATCH):
            last = min(keys, first + self.FILL_BATCH) - 1
            self.ask("EVAL", self.FILL, "0", str(first), str(last), "x" * value_bytes)
        while self.persistence()["aof_rewrite_in_progress"] != "0":
            time.sleep(0.1)

    def measure(self, work, value_bytes: int, seconds: float, checkpoints: int) -> dict:
        """redis-benchmark takes a number of operations and no duration: so its rate is found out first."""
        rate = self.benchmark(work, value_bytes, 20_000)["rate"]
        calibration = min(self.CALIBRATION_SECONDS, seconds / 4)
        rate = self.benchmark(work, value_bytes, rate * calibration)["rate"]
        rewrites = int(self.persistence().get("aof_rewrites", 0))
        found = self.benchmark(work, value_bytes, rate * seconds * 1.1)
        found["checkpoints"] = int(self.persistence().get("aof_rewrites", 0)) - rewrites
        return found

    def benchmark(self, work, value_bytes: int, operations: float) -> dict:
        count = max(work.callers * work.batch, round(operations))
        meter = Meter(self.folder, self)
        lines = run(["redis-benchmark", "-h", HOST, "-p", self.port, "--csv", "-t", work.operation,
                     "-c", str(work.callers), "-P", str(work.batch), "-r", str(work.keys), "-d", str(value_bytes),
                     "-n", str(count)]).splitlines()
        values = [text.strip('"') for text in lines[-1].split(",")]
        found = dict(zip((name.strip('"') for name in lines[0].split(",")), values))
        rate = float(found["rps"])
        return meter.finish({"rate": rate, "ops": count, "seconds": count / rate, "p999_ms": None, "sync_bytes": None,
                             "p50_ms": float(found["p50_latency_ms"]), "p99_ms": float(found["p99_latency_ms"])})
