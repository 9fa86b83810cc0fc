"""Three nodes on this machine, on loopback addresses that no other cluster uses: the usual ports, since one that the
kernel gives away could be some client's by the time its node comes back."""

import http.client
import json
import os
import time
from contextlib import ExitStack
from pathlib import Path

from servers import Failed, Node

IN_SYNC_SECONDS = 120
NAMES = ("node-1", "node-2", "node-3")
# Of scripts/bench failover: each node is the primary of one shard and the replica of its neighbour's.
RING = {"shard-1": ("node-1", "node-2"), "shard-2": ("node-2", "node-3"), "shard-3": ("node-3", "node-1")}
# Of scripts/bench replication: the third node is a keeper and nothing else.
PAIR = {"shard-1": ("node-1", "node-2")}
# What their logs say (actors/member/member_actor.cpp) of a false or a right take-over, and of a silent replica.
TAKING_OVER, DROPPING = ": taking over", "is silent: dropping it"


class Member(Node):
    def __init__(self, cluster: "Cluster", name: str, host: str):
        super().__init__(cluster.folder / name, cluster.programs, name, host)
        self.cluster = cluster

    def topology(self) -> str:
        return self.cluster.file()


class Cluster:
    """A context: every node started, every replica in sync."""

    def __init__(self, folder: Path, programs: Path, shards: dict[str, tuple[str, str]], failover: str = "standard"):
        self.folder, self.programs, self.shards, self.failover = folder, programs, shards, failover
        network = f"127.{64 + os.getpid() % 128}.{os.getpid() // 128 % 256}"
        self.nodes = {name: Member(self, name, f"{network}.{i + 1}") for i, name in enumerate(NAMES)}
        self.running = ExitStack()

    def file(self) -> str:
        keepers = ", ".join(f'"{name}"' for name in self.nodes)
        shards = "".join(f'[[shard]]\nname = "{shard}"\nprimary = "{primary}"\nreplicas = ["{replica}"]\n'
                         for shard, (primary, replica) in self.shards.items())
        return (f'[cluster]\nname = "bench"\nkeepers = [{keepers}]\nfailover = "{self.failover}"\n'
                + "".join(node.table() for node in self.nodes.values()) + shards)

    def __enter__(self):
        with ExitStack() as running:
            for node in self.nodes.values():
                node.folder.mkdir(parents=True)
                running.callback(node.__exit__)
                node.launch()  # none is ready without the others
            for node in self.nodes.values():
                node.wait_until_ready()
            self.wait_until_in_sync()
            self.running = running.pop_all()
        return self

    def __exit__(self, *_):
        self.running.close()

    def endpoints(self) -> str:
        return ",".join(node.endpoint for node in self.nodes.values())

    def shard(self, name: str) -> dict:
        """As the register has it, by whichever node answers first."""
        return next(shard for shard in self.topology()["shards"] if shard["name"] == name)

    def topology(self) -> dict:
        """The newest that a node knows."""
        known = []
        for node in self.nodes.values():
            try:
                known.append(json.loads(node.ask("/v1/topology")))
            except (OSError, http.client.HTTPException):
                pass  # it is down, or busy
        if not known:
            raise Failed("no node tells its topology")
        return max(known, key=lambda topology: topology["version"])

    def member(self, node: str, shard: str) -> dict:
        """What a node says of its copy of a shard."""
        status = json.loads(self.nodes[node].ask("/v1/status"))
        return next(member for member in status["members"] if member["shard"] == shard)

    def wait_until_in_sync(self) -> float:
        """Until every replica is. Returns how long that took."""
        begin = time.monotonic()
        while not all(shard["in_sync"] for shard in self.topology()["shards"]):
            if time.monotonic() - begin > IN_SYNC_SECONDS:
                raise Failed(f"a replica is not in sync after {IN_SYNC_SECONDS} s: {self.last_words()}")
            time.sleep(0.02)
        return time.monotonic() - begin

    def log_lines(self, phrase: str) -> list[str]:
        return [line for node in self.nodes.values()
                for line in (node.folder / "log").read_text(errors="replace").splitlines() if phrase in line]

    def last_words(self) -> str:
        return " || ".join(f"{name}: {node.last_words()}" for name, node in self.nodes.items())
