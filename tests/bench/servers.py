"""Servers that are measured, each with a folder of its own.

A server is a context: started and ready inside, ended by its pid and its folder removed after. setpriv has
the kernel end it as well should this program be killed."""

import http.client
import json
import os
import platform
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

READY_SECONDS = 60
STOP_SECONDS = 60
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A measurement could not be made; the text says why."""


def machine() -> dict:
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    return {"processors": os.cpu_count(), "model": model, "kernel": platform.release()}


def run(command: list[str]) -> str:
    """Runs a program to its end; what it printed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{Path(command[0]).name} {command[1]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


class Load:
    """A program that measures while something else is done: a context, ended with it."""

    def __init__(self, command: list[str]):
        self.command = command
        self.found: dict | None = None  # what it printed, once it has ended well
        self.problem = ""

    def __enter__(self):
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *self.command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return self

    def has_ended(self, seconds: float) -> bool:
        """Within so long."""
        try:
            out, error = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        if self.process.returncode == 0:
            self.found = json.loads(out)
        else:
            self.problem = error.strip()
        return True

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Meter:
    """What a measurement used, from here to finish(): by the server, and by others on this machine, who spoil it."""

    def __init__(self, folder: Path, server: "Server | None" = None):
        self.folder, self.server = folder, server
        self.start = time.monotonic()
        self.busy = self.busy_seconds()
        self.client = sum(os.times()[2:4])  # of programs that have ended
        self.written = self.written_bytes()
        if server:
            self.cpu = server.cpu_seconds()

    @staticmethod
    def busy_seconds() -> float:
        """Of all processors: all but idle and waiting for disks."""
        user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
        return (user + nice + system + irq + softirq + steal) / TICKS

    def written_bytes(self) -> int | None:
        """To the disk that the folder is on, by anybody; None when that is no block device. /proc/PID/io cannot be
        used: with large folios it counts up to 64 KiB for a page of 4 KiB (LMDB: ten times what the disk saw)."""
        device = self.folder.stat().st_dev
        try:
            fields = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text().split()
        except OSError:
            return None
        return int(fields[6]) * 512  # sectors written

    def finish(self, found: dict) -> dict:
        client = sum(os.times()[2:4]) - self.client
        server = self.server.cpu_seconds() - self.cpu if self.server else 0.0
        others = self.busy_seconds() - self.busy - client - server
        found.setdefault("cpu_seconds", client)
        found["server_cpu_seconds"] = server
        written = None if self.written is None else self.written_bytes() - self.written
        found.setdefault("written_bytes", written)
        found["others_share"] = max(0.0, others / ((time.monotonic() - self.start) * os.cpu_count()))
        return found


class Server:
    """The process, and what it has used so far."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.process: subprocess.Popen | None = None

    def __enter__(self):
        self.folder.mkdir(parents=True)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        self.launch()
        self.wait_until_ready()

    def launch(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.command()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True)

    def kill(self):
        """As a crash: kill -9. Returns when it has ended."""
        self.process.kill()
        self.process.wait()

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
        return sum(int(field) for field in fields[11:15]) / TICKS


PORTS = {"http": 8080, "rpc": 7001, "events": 7002, "peer": 7003, "watch": 7004}


class Node(Server):
    """A distrikvd."""

    def __init__(self, folder: Path, programs: Path, name: str, host: str, ports: dict[str, int] | None = None):
        super().__init__(folder)
        self.programs, self.name, self.host = programs, name, host
        self.ports = ports or PORTS
        self.endpoint = f"{host}:{self.ports['rpc']}"

    def topology(self) -> str:
        """The text of the file."""
        raise NotImplementedError

    def table(self) -> str:
        """Its own in that file."""
        ports = "".join(f"{name} = {port}\n" for name, port in self.ports.items())
        return f'[[node]]\nname = "{self.name}"\nhost = "{self.host}"\n{ports}'

    def command(self):
        (self.folder / "topology.toml").write_text(self.topology())
        return [str(self.programs / "distrikvd"), "--topology", "topology.toml", "--node", self.name, "--data", "data"]

    def ask(self, path: str) -> bytes:
        """What it answers over HTTP. OSError: nothing, or no success."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"http://{self.host}:{self.ports['http']}{path}", timeout=2) as answer:
            return answer.read()

    def is_ready(self):
        try:
            return bool(self.ask("/readyz"))
        except (OSError, http.client.HTTPException):
            return False

    def bench(self, command: str, *options) -> list[str]:
        """A measurement on it, as a command line."""
        return [str(self.programs / "distrikv-bench"), command, "--endpoint", self.endpoint, *map(str, options)]
