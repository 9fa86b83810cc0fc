"""The two servers that are compared, each in a folder and on ports of its own, never both at once.

A server is a context: started and ready inside, ended by its pid and its folder removed after. setpriv has
the kernel end it as well should this program be killed."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

HOST = "127.0.0.1"
READY_SECONDS = 60
STOP_SECONDS = 60


class Failed(Exception):
    """A measurement could not be made; the text says why."""


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def run(command: list[str]) -> str:
    """Runs a program to its end; what it printed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{Path(command[0]).name} {command[1]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


class Server:
    """What is common to both: the process, and what it has used so far."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.process: subprocess.Popen | None = None

    def __enter__(self):
        self.folder.mkdir(parents=True)
        try:
            with open(self.folder / "log", "wb") as log:
                self.process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", *self.command()],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True)
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_until_ready(self):
        end = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failed(f"{self.name} did not start: {self.last_words()}")
            time.sleep(0.05)

    def last_words(self) -> str:
        return " | ".join((self.folder / "log").read_text(errors="replace").splitlines()[-5:])

    def cpu_seconds(self) -> float:
        """User and system time, that of children which have ended (Redis rewrites its file in one) included."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")

    def written_bytes(self) -> int:
        """What this process, and its children that have ended, made the kernel write to disks: whole pages,
        without the file system's journal. Unlike /proc/diskstats it leaves out what others on this machine write."""
        counts = dict(line.split(": ") for line in Path(f"/proc/{self.process.pid}/io").read_text().splitlines())
        return int(counts["write_bytes"]) - int(counts["cancelled_write_bytes"])


class Ours(Server):
    """One distrikvd with one shard."""

    name = "distrikvd"

    def __init__(self, folder: Path, programs: Path):
        super().__init__(folder)
        self.programs = programs
        self.ports = dict(zip(("http", "rpc", "events", "peer", "watch"), free_ports(5)))
        self.endpoint = f"{HOST}:{self.ports['rpc']}"

    def command(self):
        ports = "".join(f"{name} = {port}\n" for name, port in self.ports.items())
        (self.folder / "topology.toml").write_text(
            f'[cluster]\nname = "bench"\n[[node]]\nname = "solo"\nhost = "{HOST}"\n{ports}'
            '[[shard]]\nname = "all"\nprimary = "solo"\n')
        return [str(self.programs / "distrikvd"), "--topology", "topology.toml", "--node", "solo", "--data", "data"]

    def is_ready(self):
        try:
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with direct.open(f"http://{HOST}:{self.ports['http']}/readyz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def fill(self, keys: int, value_bytes: int):
        run([str(self.programs / "distrikv-bench"), "fill", "--endpoint", self.endpoint, "--keys", str(keys),
             "--value-bytes", str(value_bytes)])

    def measure(self, work, value_bytes: int, seconds: float, checkpoints: int) -> dict:
        command = [str(self.programs / "distrikv-bench"), "load", "--endpoint", self.endpoint,
                   "--callers", str(work.callers), "--batch", str(work.batch), "--keys", str(work.keys),
                   "--value-bytes", str(value_bytes), "--seconds", str(seconds)]
        command += ["--separate"] if work.separate else []
        command += ["--gets"] if work.operation == "get" else ["--checkpoints", str(checkpoints)]
        return json.loads(run(command))


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
        server_cpu, server_written = self.cpu_seconds(), self.written_bytes()
        cpu = sum(os.times()[2:4])
        lines = run(["redis-benchmark", "-h", HOST, "-p", self.port, "--csv", "-t", work.operation,
                     "-c", str(work.callers), "-P", str(work.batch), "-r", str(work.keys), "-d", str(value_bytes),
                     "-n", str(count)]).splitlines()
        values = [text.strip('"') for text in lines[-1].split(",")]
        found = dict(zip((name.strip('"') for name in lines[0].split(",")), values))
        rate = float(found["rps"])
        return {"rate": rate, "ops": count, "seconds": count / rate, "p50_ms": float(found["p50_latency_ms"]),
                "p99_ms": float(found["p99_latency_ms"]), "p999_ms": None,
                "cpu_seconds": sum(os.times()[2:4]) - cpu,
                "server_cpu_seconds": self.cpu_seconds() - server_cpu,
                "server_written_bytes": self.written_bytes() - server_written}


def stop_on_signals():
    """SIGTERM ends this program as Ctrl-C does: with everything cleared away."""
    def interrupt(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
