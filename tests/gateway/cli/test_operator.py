"""`distrikv status`, `failover` and `promote` among scripted nodes: three members of one shard, any of which may
be down, behind, or of another opinion.

DKV_PROGRAMS names the folder of the built programs.
"""

import json
import os
import subprocess
import threading
import unittest

import msgpack
import zmq

PROGRAMS = os.environ["DKV_PROGRAMS"]
ERROR, TOPOLOGY, STATUS, CONTROL = 0, 2, 3, 4
HAND_OVER, PROMOTE = 1, 2
UNAVAILABLE = 7
NAMES = ("alpha", "beta", "gamma")


class Node:
    """A ROUTER on a thread, which answers what its cluster says: (type, body), or None for silence."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self._stop = threading.Event()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self.endpoint = "127.0.0.1:%d" % self._socket.bind_to_random_port("tcp://127.0.0.1")
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self):
        self._stop.set()
        self._thread.join()
        self._socket.close()
        self._context.term()

    def _run(self):
        while not self._stop.is_set():
            if not self._socket.poll(10):
                continue
            sender, data = self._socket.recv_multipart()
            _, type_, request_id, _, _, body = msgpack.unpackb(data)
            answer = self.cluster.answer(self.name, type_, body)
            if answer is not None:
                self._socket.send_multipart([sender, msgpack.packb([1, answer[0], request_id, answer[1]])])


class Cluster:
    """What its nodes say. A test changes the attributes; `controls` are the control requests that came."""

    def __init__(self):
        self.version, self.epoch = 5, 5
        self.primary, self.in_sync = "alpha", ["beta"]
        self.durable = {"alpha": 90, "beta": 90, "gamma": 70}
        self.down = set()
        self.isolated = set()
        self.silent_keepers = set()
        self.old = {}  # node: the primary that it still believes in
        self.on_control = lambda node, action, to: (CONTROL, ["done"])
        self.controls = []
        self.nodes = {name: Node(self, name) for name in NAMES}

    def close(self):
        for node in self.nodes.values():
            node.close()

    def lead(self, name):
        """The register makes it primary."""
        others = [one for one in NAMES if one != name]
        self.version += 1
        self.epoch = self.version
        self.primary, self.in_sync = name, [one for one in others if one in self.in_sync]

    def answer(self, name, type_, body):
        if name in self.down:
            return None
        if type_ == TOPOLOGY:
            return TOPOLOGY, [self.version_at(name), self.topology(name)]
        if type_ == STATUS:
            return STATUS, self.status(name)
        self.controls.append((name, *body))
        return self.on_control(name, body[0], body[2])

    def version_at(self, name):
        return self.version - 1 if name in self.old else self.version

    def topology(self, name):
        primary = self.old.get(name, self.primary)
        number = {one: place + 1 for place, one in enumerate(NAMES)}
        nodes = [[number[one], one, f"{one}:8080", self.nodes[one].endpoint, f"{one}:2", f"{one}:3", f"{one}:4"]
                 for one in NAMES]
        replicas = [number[one] for one in NAMES if one != primary]
        in_sync = [number[one] for one in self.in_sync if one != primary]
        version = self.version_at(name)
        shard = [1, "city", 1, number[primary], replicas, in_sync, 0, min(self.epoch, version), 1000 + version, []]
        keepers = [[number[one], 40 + number[one], 1] for one in NAMES]
        return msgpack.packb([2, version, 1000 + version, 4711, "test", nodes, [shard], keepers, [[0, 16383, 1]]])

    def status(self, name):
        leads = name == self.primary
        isolated = name in self.isolated
        keepers = [[one, one not in self.silent_keepers | self.down and not isolated, 30] for one in NAMES]
        replicas = [[one, one in self.in_sync, one in self.in_sync, one not in self.down, self.durable[one], 0, 10]
                    for one in NAMES if leads and one != name]
        seq = self.durable[name]
        member = [1, "city", leads, True, "serving" if leads else "following", "", self.epoch, seq, seq, seq, seq, 0, 0,
                  0, 0, False, leads, 800 if leads else 0, replicas]
        return [name, "0.1.0", self.version_at(name), 1, True, isolated, keepers, [member]]


class OperatorTest(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)

    def distrikv(self, *arguments, typed="", ask=NAMES, timeout="5"):
        seeds = [option for name in ask for option in ("--node", self.cluster.nodes[name].endpoint)]
        return subprocess.run([os.path.join(PROGRAMS, "distrikv"), *arguments, "--timeout", timeout, *seeds],
                              input=typed.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              check=False)

    def expect(self, finished, code, *words):
        text = finished.stdout.decode() + finished.stderr.decode()
        self.assertEqual(finished.returncode, code, text)
        for word in words:
            self.assertIn(word, text)

    # ---- status

    def test_status_shows_in_sync_sets_leases_and_keepers(self):
        finished = self.distrikv("status")
        self.expect(finished, 0, "800 ms", "All is well", "keepers alpha, beta, gamma: 3 of 3 answer")
        rows = {line.split()[0]: line.split() for line in finished.stdout.decode().splitlines() if line.strip()}
        self.assertEqual([rows[name][8] for name in NAMES], ["-", "yes", "no"])
        shown = json.loads(self.distrikv("status", "--json").stdout)
        self.assertEqual(shown["shards"], [{"name": "city", "served": True, "primary": "alpha", "epoch": 5,
                                            "in_sync": ["beta"]}])
        self.assertEqual(shown["keepers"][0], {"node": "alpha", "reached_by": 3})
        self.assertEqual(shown["nodes"][0]["status"]["members"][0]["lease_ms"], 800)

    def test_status_says_who_takes_over_from_a_dead_primary(self):
        self.cluster.down = {"alpha"}
        self.expect(self.distrikv("status", timeout="1"), 3, "alpha does not answer", "city is not served",
                    "until beta, in sync, takes over", "keeper alpha does not answer", "2 of 3, and needs 2")

    def test_status_says_how_to_go_on_without_any_in_sync_member(self):
        self.cluster.down = {"alpha", "beta"}
        self.expect(self.distrikv("status", timeout="1"), 3, "start alpha and beta",
                    "distrikv promote city --to gamma", "1 of 3 are no majority")

    def test_status_names_isolated_nodes_and_those_that_are_behind(self):
        self.cluster.isolated = {"beta"}
        self.cluster.old = {"gamma": "alpha"}
        self.expect(self.distrikv("status"), 0, "beta is isolated", "gamma goes by version 4")

    def test_status_says_that_nobody_could_take_over(self):
        self.cluster.in_sync = []
        self.expect(self.distrikv("status"), 0, "no replica is in sync")

    # ---- failover

    def test_failover_asks_the_primary_and_says_who_leads(self):
        def hand_over(node, _action, to):
            self.cluster.lead(to or "beta")
            self.cluster.in_sync = [node]  # who hands over stays in sync
            return CONTROL, ["done"]
        self.cluster.on_control = hand_over
        self.expect(self.distrikv("failover", "city"), 0, "beta leads shard city since epoch 6 (before: alpha)", " s.")
        self.assertEqual(self.cluster.controls, [("alpha", HAND_OVER, "city", "")])
        finished = self.distrikv("failover", "city", "--to", "alpha", "--json")
        self.expect(finished, 0)
        shown = json.loads(finished.stdout)
        self.assertEqual((shown["from"], shown["to"], shown["epoch"]), ("beta", "alpha", 7))
        self.assertEqual(self.cluster.controls[1:], [("beta", HAND_OVER, "city", "alpha")])

    def test_failover_goes_to_the_primary_that_a_newer_topology_names(self):
        self.cluster.lead("beta")
        self.cluster.in_sync = ["gamma"]
        self.cluster.old = {"alpha": "alpha"}

        def hand_over(node, _action, to):
            if node != "beta":
                return ERROR, [UNAVAILABLE, "ask beta"]
            self.cluster.lead(to)
            return CONTROL, ["done"]
        self.cluster.on_control = hand_over
        self.expect(self.distrikv("failover", "city", "--to", "gamma", ask=["alpha"]), 0, "gamma leads shard city")

    def test_failover_tries_again_while_nothing_was_done(self):
        refusals = [3]

        def hand_over(_node, _action, _to):
            refusals[0] -= 1
            if refusals[0] >= 0:
                return ERROR, [UNAVAILABLE, "not just now"]
            self.cluster.lead("beta")
            return CONTROL, ["done"]
        self.cluster.on_control = hand_over
        self.expect(self.distrikv("failover", "city"), 0, "beta leads")
        self.assertEqual(len(self.cluster.controls), 4)

    def test_a_failover_without_an_answer_is_of_unknown_outcome_and_asked_once(self):
        self.cluster.on_control = lambda *_: None
        self.expect(self.distrikv("failover", "city", timeout="1"), 3, "unknown_outcome")
        self.assertEqual(len(self.cluster.controls), 1)

    def test_failover_of_what_is_not_there_is_wrong_usage(self):
        self.expect(self.distrikv("failover", "town"), 2, '"town"', "city")
        self.expect(self.distrikv("failover", "city", "--to", "delta"), 2, '"delta"', "alpha, beta, gamma")
        self.expect(self.distrikv("failover"), 2, "SHARD")
        self.expect(self.distrikv("failover", "city", "--to", "alpha"), 0, "already")
        self.assertEqual(self.cluster.controls, [])

    def test_failover_from_a_dead_primary_says_what_happens_by_itself(self):
        self.cluster.down = {"alpha"}
        self.expect(self.distrikv("failover", "city", timeout="1"), 3, "takes over by itself")

    # ---- promote

    def lose_all_in_sync(self):
        self.cluster.down = {"alpha", "beta"}
        self.cluster.on_control = lambda node, _action, _to: (self.cluster.lead(node), (CONTROL, ["done"]))[1]

    def test_promote_says_what_may_be_lost_and_does_nothing_without_force(self):
        self.lose_all_in_sync()
        self.expect(self.distrikv("promote", "city", "--to", "gamma", typed="city\n"), 2, "event 70", "NOT in sync",
                    "alpha, beta", "--force", "nothing was done")
        self.assertEqual(self.cluster.controls, [])

    def test_promote_wants_the_shards_name_to_be_typed(self):
        self.lose_all_in_sync()
        for typed in ("", "\n", "yes\n", "gamma\n", "city \n"):
            finished = self.distrikv("promote", "city", "--to", "gamma", "--force", typed=typed)
            self.expect(finished, 2, "not confirmed")
        self.assertEqual(self.cluster.controls, [])
        finished = self.distrikv("promote", "city", "--to", "gamma", "--force", typed="city\n")
        self.expect(finished, 0, "gamma leads shard city since epoch 6")
        self.assertEqual(self.cluster.controls, [("gamma", PROMOTE, "city", "gamma")])

    def test_promote_names_the_newest_copy_of_those_that_answer(self):
        self.lose_all_in_sync()
        self.cluster.down = {"alpha"}
        self.cluster.in_sync = []
        finished = self.distrikv("promote", "city", "--to", "gamma", "--force", "--yes")
        self.expect(finished, 0, "on beta and reaches event 90", "at least 20 events", "gamma leads")

    def test_promote_refuses_while_the_shard_is_served(self):
        finished = self.distrikv("promote", "city", "--to", "gamma", "--force", "--yes")
        self.expect(finished, 2, "is served, by alpha", "distrikv failover city --to gamma")
        self.assertEqual(self.cluster.controls, [])

    def test_promote_needs_a_copy_that_runs(self):
        self.cluster.down = {"alpha", "gamma"}
        self.expect(self.distrikv("promote", "city", "--to", "gamma", "--force", "--yes"), 3, "gamma does not answer")
        self.expect(self.distrikv("promote", "city", "--force"), 2, "--to")


if __name__ == "__main__":
    unittest.main()
