"""The Python client among scripted nodes: MOVED, refusals, silence, garbage."""

import pathlib
import re
import threading
import time
import unittest

import msgpack
import zmq

import distrikv
from distrikv import protocol


CONDITION_FAILED, NOT_A_COUNTER, ABORTED = 14, 15, 16


class FakeNode:
    """A ROUTER on a thread; `script(operations, request_id)` returns the messages to send back."""

    def __init__(self, script=None):
        self.script = script or self.serve
        self.records = {}
        self.versions = {}  # of the records
        self.seq = 0
        self.topology = b""
        self.requests = 0
        self.largest = 0  # request, in bytes
        self.atomic = False  # the request that is being answered
        self.acks = []  # what requests asked for
        self.names = []  # client id and number of each
        self.sessions = []
        self.scan_script = self.serve_scan
        self.scans = []  # what was asked
        self._stop = threading.Event()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self.endpoint = f"127.0.0.1:{port}"
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
            _, type_, request_id, client_id, number, body, *session = msgpack.unpackb(data, raw=True)
            self.names.append((client_id, number))
            self.sessions.append(session)
            self.largest = max(self.largest, len(data))
            if type_ == protocol.TYPE_TOPOLOGY:
                replies = [msgpack.packb([1, type_, request_id, [1, self.topology]])]
            elif type_ == protocol.TYPE_SCAN:
                self.scans.append(body)
                replies = self.scan_script(body, request_id)
            else:
                self.requests += 1
                self.atomic = body[3:4] == [True]
                self.acks.append(body[1])
                replies = self.script(body[2], request_id)
            for reply in replies:
                self._socket.send_multipart([sender, reply])

    def serve(self, operations, request_id):
        before = dict(self.records), dict(self.versions)
        results = [self._execute(*operation) for operation in operations]
        if self.atomic and any(code not in (0, 1) for code, *_ in results):
            self.records, self.versions = before
            results = [result if result[0] not in (0, 1) else [ABORTED, "by another"] for result in results]
        return [msgpack.packb([1, 1, request_id, results])]

    def serve_scan(self, scan, request_id):
        """Pages of three records, however many were asked for."""
        _, _, start, end, down, keys_only, limit = scan
        low, high = (end, start) if down else (start, end)
        keys = sorted((key for key in self.records if low <= key and (not high or key < high)), reverse=down)
        count = min(limit, 3)
        ended = len(keys) <= count
        items = [[key, *self.versions[key], b"" if keys_only else self.records[key]] for key in keys[:count]]
        after = b"" if ended else keys[count] + b"\0" if down else keys[count]
        return [msgpack.packb([1, protocol.TYPE_SCAN, request_id, [0, ended, after, items]])]

    def _execute(self, code, key, *more):
        condition = more[2:3] if code == protocol.PUT else more[0:1] if code == protocol.REMOVE else ()
        present = self.versions.get(key)
        if condition and not self._holds(present, *condition[0]):
            return [CONDITION_FAILED, "by condition", *(present or (0, 0))]
        if code == protocol.PUT:
            return [0, *self._write(key, more[0]), more[1:2] == (True,) and present is None, b""]
        if code == protocol.INCREMENT:
            return self._increment(key, *more)
        if present is None:
            return [1, "no such key"]
        if code == protocol.GET:
            return [0, *present, False, self.records[key]]
        del self.records[key], self.versions[key]
        return [0, 1, self._next(), False, b""]

    def _holds(self, present, kind, *version):
        return {protocol.IF_VERSION: present == version, protocol.IF_EXISTS: present is not None,
                protocol.IF_MISSING: present is None}[kind]

    def _increment(self, key, negative, amount):
        try:
            total = int(self.records.get(key, b"0")) + (-amount if negative else amount)
        except ValueError:
            return [NOT_A_COUNTER, "by value"]
        if not -2**63 <= total < 2**63:
            return [NOT_A_COUNTER, "by size"]
        return [0, *self._write(key, b"%d" % total), False, self.records[key]]

    def _write(self, key, value):
        self.records[key] = value
        self.versions[key] = (1, self._next())
        return self.versions[key]

    def _next(self):
        self.seq += 1
        return self.seq


def refuse(code):
    return lambda operations, request_id: [msgpack.packb([1, 1, request_id, [[code, "by script"]] * len(operations)])]


def move_to(node, version):
    moved = [2, 1, "a", "a", node.endpoint, "127.0.1.1:8080", version]
    return lambda operations, request_id: [msgpack.packb([1, 1, request_id, [moved] * len(operations)])]


def one_shard(node, version=1):
    return msgpack.packb([2, version, 99, 4711, "test", [[1, "a", "h:1", node.endpoint, "h:2", "h:3", "h:4"]],
                          [[1, "a", 1, 1, [], [], 0, 0, 0, []]], [[1, 4712, 1]], [[0, 16383, 1]]])


def two_shards(nodes, version=1):
    """The first node has the first half of the slots."""
    return msgpack.packb([2, version, 99, 4711, "test",
                          [[i + 1, "ab"[i], "h:1", node.endpoint, "h:2", "h:3", "h:4"] for i, node in enumerate(nodes)],
                          [[i + 1, "ab"[i], 1, i + 1, [], [], 0, 0, 0, []] for i in range(2)], [[1, 4712, 1]],
                          [[0, 8191, 1], [8192, 16383, 2]]])


class ClientTest(unittest.TestCase):
    def node(self, script=None):
        node = FakeNode(script)
        self.addCleanup(node.close)
        node.topology = one_shard(node)
        return node

    def client(self, *nodes, timeout=20.0, **options):
        client = distrikv.Client([node if isinstance(node, str) else node.endpoint for node in nodes], timeout,
                                 **options)
        self.addCleanup(client.close)
        return client

    def after(self, times, first, then):
        """A script that answers by `first` so many times, then by `then`."""
        left = [times]

        def script(operations, request_id):
            left[0] -= 1
            return (first if left[0] >= 0 else then)(operations, request_id)
        return script

    def test_puts_gets_and_deletes(self):
        client = self.client(self.node())
        self.assertIsNone(client.get("city"))
        client.put("city", "Delhi")
        self.assertEqual(client.get(b"city"), b"Delhi")
        self.assertTrue(client.delete("city"))
        self.assertFalse(client.delete("city"))
        client.put(b"\x00\xff", b"")
        self.assertEqual(client.get(b"\x00\xff"), b"")

    def test_asks_for_the_acknowledgement_that_it_is_told(self):
        node = self.node()
        client = self.client(node)
        client.put("city", "Delhi")
        client.execute([distrikv.put("city", "Mumbai")], ack="local")
        client.execute_atomically([distrikv.put("city", "Pune")], ack="local")
        hasty = self.client(node, ack="local")
        hasty.put("city", "Agra")
        hasty.execute([distrikv.put("city", "Goa")], ack="committed")
        self.assertEqual(node.acks, [protocol.COMMITTED, protocol.LOCAL, protocol.LOCAL, protocol.LOCAL,
                                     protocol.COMMITTED])
        with self.assertRaises(ValueError):
            client.execute([distrikv.put("city", "Kochi")], ack="perhaps")

    def test_executes_many_and_keeps_their_order(self):
        node = self.node()
        client = self.client(node)
        count = protocol.MAX_OPERATIONS + 1
        puts = [distrikv.put(f"k{i}", f"v{i}") for i in range(count)]
        self.assertTrue(all(result.ok for result in client.execute(puts)))
        self.assertEqual(node.requests, 2)
        gets = [distrikv.get(f"k{i}") for i in range(count)]
        self.assertEqual([result.value for result in client.execute(gets)], [b"v%d" % i for i in range(count)])

    def test_counts_what_conditions_take_of_a_request(self):
        node = self.node()
        size = protocol.MAX_REQUEST_BYTES // protocol.MAX_OPERATIONS - 20  # leaves less than a condition takes
        put = distrikv.put("k", b"v" * size, condition=distrikv.if_version((2**64 - 1, 2**64 - 1)))
        results = self.client(node).execute([put] * protocol.MAX_OPERATIONS)
        self.assertEqual({result.code for result in results}, {CONDITION_FAILED})
        self.assertEqual(node.requests, 2)
        self.assertLessEqual(node.largest, protocol.MAX_REQUEST_BYTES)

    def test_writes_over_the_version_that_was_read(self):
        client = self.client(self.node())
        first = client.put("k", "1")
        self.assertEqual(client.get_record("k"), distrikv.Record(b"1", first))
        second = client.put("k", "2", condition=distrikv.if_version(first))
        self.assertGreater(second, first)
        with self.assertRaisesRegex(distrikv.ConditionFailed, "by condition") as failed:
            client.put("k", "3", condition=distrikv.if_version(first))
        self.assertEqual(failed.exception.version, second)
        with self.assertRaises(distrikv.ConditionFailed):
            client.delete("k", condition=distrikv.if_version(first))
        self.assertEqual(client.get("k"), b"2")
        self.assertTrue(client.delete("k", condition=distrikv.if_version(second)))
        self.assertIsNone(client.get_record("k"))

    def test_a_condition_that_finds_no_record_names_no_version(self):
        client = self.client(self.node())
        for condition in (distrikv.if_exists(), distrikv.if_version((7, 1042))):
            for write in (lambda: client.put("k", "v", condition=condition),
                          lambda: client.delete("k", condition=condition)):
                with self.assertRaises(distrikv.ConditionFailed) as failed:
                    write()
                self.assertIsNone(failed.exception.version)
        self.assertIsNone(client.get("k"))

    def test_creates_a_key_once(self):
        client = self.client(self.node())
        created = client.put("k", "first", condition=distrikv.if_missing())
        with self.assertRaises(distrikv.ConditionFailed) as failed:
            client.put("k", "second", condition=distrikv.if_missing())
        self.assertEqual(failed.exception.version, created)
        client.put("k", "third", condition=distrikv.if_exists())
        self.assertEqual(client.get("k"), b"third")
        self.assertTrue(client.delete("k", condition=distrikv.if_exists()))

    def test_counts(self):
        client = self.client(self.node())
        self.assertEqual(client.increment("n"), 1)
        self.assertEqual(client.increment("n", 41), 42)
        self.assertEqual(client.increment("n", -50), -8)
        self.assertEqual(client.increment("n", 0), -8)
        self.assertEqual(client.get("n"), b"-8")
        self.assertEqual(client.increment("low", -2**63), -2**63)
        self.assertEqual(client.increment("high", 2**63 - 1), 2**63 - 1)
        with self.assertRaisesRegex(distrikv.NotACounter, "by size"):
            client.increment("high")
        client.put("text", "hello")
        with self.assertRaisesRegex(distrikv.NotACounter, "by value"):
            client.increment("text")

    def test_executes_conditions_and_increments_together(self):
        results = self.client(self.node()).execute([
            distrikv.put("a", "1", True, condition=distrikv.if_missing()),
            distrikv.put("a", "2", True, condition=distrikv.if_missing()),
            distrikv.increment("a", 5),
            distrikv.delete("a", condition=distrikv.if_version((1, 1))),
            distrikv.delete("a", condition=distrikv.if_version((1, 2))),
            distrikv.put("a", "3", condition=distrikv.if_exists())])
        self.assertEqual([result.code for result in results], [0, CONDITION_FAILED, 0, CONDITION_FAILED, 0,
                                                               CONDITION_FAILED])
        self.assertEqual([result.version for result in results], [(1, 1), (1, 1), (1, 2), (1, 2), (1, 3), None])
        self.assertTrue(results[0].created)
        self.assertEqual(results[2].value, b"6")

    def test_does_all_of_an_atomic_batch_or_nothing(self):
        node = self.node()
        client = self.client(node)
        results = client.execute_atomically([
            distrikv.put("{a}k", "1", condition=distrikv.if_missing()), distrikv.increment("{a}n", 2),
            distrikv.get("{a}k"), distrikv.get("{a}missing"), distrikv.delete("{a}missing")])
        self.assertEqual([result.code for result in results], [0, 0, 0, 1, 1])
        self.assertEqual([result.value for result in results[1:3]], [b"2", b"1"])
        before = dict(node.records)
        with self.assertRaisesRegex(distrikv.ConditionFailed, "operation 1: by condition") as failed:
            client.execute_atomically([distrikv.increment("{a}n"),
                                       distrikv.put("{a}k", "2", condition=distrikv.if_missing()),
                                       distrikv.get("{a}k")])
        self.assertEqual(failed.exception.version, results[0].version)
        self.assertEqual(node.records, before)
        self.assertEqual(client.execute_atomically([]), [])
        self.assertEqual(node.requests, 2)

    def test_sends_an_atomic_batch_again_only_as_a_whole(self):
        batch = [distrikv.put("{a}k", "v"), distrikv.get("{a}k")]
        for refusal in (lambda operations, request_id: [msgpack.packb([1, 0, request_id, [7, "by script"]])],
                        refuse(6), move_to(self.node(), 0)):
            node = self.node()
            node.script = self.after(1, refusal, node.serve)
            self.assertEqual(self.client(node).execute_atomically(batch)[1].value, b"v")
            self.assertEqual(node.requests, 2)
        owner, other = self.node(), self.node(move_to(self.node(), 1))
        other.script = move_to(owner, 1)
        self.assertEqual(self.client(other).execute_atomically(batch)[1].value, b"v")
        self.assertTrue(owner.atomic)
        # No node answers so; but if one did, the part that was done must not be done again.
        node = self.node(lambda operations, request_id: [
            msgpack.packb([1, 1, request_id, [[0, 1, 1, False, b""], [7, "by script"]]])])
        with self.assertRaises(distrikv.DistriKVError):
            self.client(node).execute_atomically(batch)
        self.assertEqual(node.requests, 1)

    def test_the_outcome_of_an_atomic_batch_without_an_answer_is_unknown_as_a_whole(self):
        node = self.node(lambda operations, request_id: [])
        with self.assertRaises(distrikv.UnknownOutcome):
            self.client(node, timeout=0.4).execute_atomically([distrikv.get("{a}k"), distrikv.put("{a}k", "v")])
        self.assertEqual(node.requests, 1)
        node = self.node(lambda operations, request_id: [msgpack.packb([1, 0, request_id, [8, "stepping down"]])])
        with self.assertRaisesRegex(distrikv.UnknownOutcome, "stepping down"):
            self.client(node).execute_atomically([distrikv.get("{a}k"), distrikv.put("{a}k", "v")])
        self.assertEqual(node.requests, 1)

    def test_refuses_what_cannot_be_an_atomic_batch(self):
        node = self.node()
        client = self.client(node)
        for error, text, batch in (
                (distrikv.BadRequest, "slot", [distrikv.get("a"), distrikv.get("b")]),
                (distrikv.BadRequest, "4096", [distrikv.get("k")] * 4097),
                (distrikv.TooLarge, "17 MiB", [distrikv.put("k", b"v" * (9 << 20))] * 2),
                (distrikv.BadRequest, "operation 1: the key is empty", [distrikv.get("k"), distrikv.get("")]),
                (distrikv.TooLarge, "operation 0: the key has", [distrikv.get("k" * 481), distrikv.get("k")])):
            with self.assertRaisesRegex(error, text):
                client.execute_atomically(batch)
        self.assertEqual(node.requests, 0)

    def test_scans_all_shards_in_the_order_of_keys(self):
        nodes = [self.node(), self.node()]
        for node in nodes:
            node.topology = two_shards(nodes)
        client = self.client(*nodes)
        keys = [b"k%02d" % i for i in range(40)] + [b"k", b"l", b"\xff", b"\xff\xff1", b"a\xff"]
        client.execute([distrikv.put(key, b"v" + key) for key in keys])
        self.assertTrue(all(node.records for node in nodes))
        keys.sort()
        self.assertEqual([item[:3] for item in client.scan()], [
            (key, b"v" + key, next(node.versions[key] for node in nodes if key in node.versions)) for key in keys])

        def scanned(*args, **options):
            return [item.key for item in client.scan(*args, **options)]
        for prefix in ("", "k", "k1", "k05", "x", b"\xff", b"\xff\xff", b"a\xff"):
            wanted = [key for key in keys if key.startswith(prefix if isinstance(prefix, bytes) else prefix.encode())]
            self.assertEqual(scanned(prefix), wanted)
            self.assertEqual(scanned(prefix, reverse=True), wanted[::-1])
        for start, end in ((b"k05", b"k20"), (b"k05", b""), (b"", b"k05"), (b"k20", b"k05"), (b"k05", b"k05")):
            wanted = [key for key in keys if key >= start and (not end or key < end)]
            self.assertEqual(scanned(start=start, end=end), wanted)
            self.assertEqual(scanned(start=start, end=end, reverse=True), wanted[::-1])
        self.assertEqual(scanned("k", start="k05", end="z", limit=4), [b"k05", b"k06", b"k07", b"k08"])
        self.assertEqual(scanned("k", end="l", reverse=True, limit=2), [b"k39", b"k38"])
        self.assertEqual(scanned(limit=0), [])
        self.assertEqual({item.value for item in client.scan("k", keys_only=True)}, {b""})

    def test_scans_no_more_than_it_is_asked_to(self):
        node = self.node()
        client = self.client(node)
        client.execute([distrikv.put(f"k{i}", "v") for i in range(20)])
        self.assertEqual(len(list(client.scan(limit=2))), 2)
        self.assertEqual(node.scans, [[0, 1, b"", b"", False, False, 2]])
        self.assertEqual(next(client.scan("k", from_replica=True)).key, b"k0")
        self.assertEqual(node.scans[1:], [[1, 1, b"k", b"l", False, False, 1000]])
        self.assertEqual(list(client.scan("k", start="l")), [])
        with self.assertRaises(ValueError):
            client.scan(limit=-1)
        with self.assertRaisesRegex(TypeError, "prefix must be bytes or str"):
            client.scan(5)
        self.assertEqual(len(node.scans), 2)

    def test_a_scan_goes_on_at_the_new_primary(self):
        owner = self.node()
        owner.serve([[protocol.PUT, b"k%d" % i, b"v"] for i in range(9)], 1)
        moved = [2, 1, "a", "a", "h:1", "h:2", 2]
        for problem in (lambda scan, request_id: [],
                        lambda scan, request_id: [msgpack.packb([1, 0, request_id, [7, "by script"]])],
                        lambda scan, request_id: [msgpack.packb([1, 0, request_id, [6, "by script"]])],
                        lambda scan, request_id: [msgpack.packb([1, 5, request_id, moved])]):
            old = self.node()
            old.records, old.versions = dict(owner.records), dict(owner.versions)

            def take_over(scan, request_id):
                old.topology = one_shard(owner, 2)
                return problem(scan, request_id)
            old.scan_script = self.after(1, old.serve_scan, take_over)
            records = self.client(old, timeout=4.0).scan()
            self.assertEqual([item.key for item in records], sorted(owner.records))

    def test_a_scan_ends_with_its_error(self):
        node = self.node()
        client = self.client(node, timeout=0.3)
        for type_, body, error in ((0, [7, "by script"], distrikv.Unavailable),
                                   (0, [10, "by script"], distrikv.IoError), (4, ["done"], distrikv.InternalError)):
            node.scan_script = lambda scan, request_id: [msgpack.packb([1, type_, request_id, body])]
            with self.assertRaises(error):
                next(client.scan())
        # A next page that would be this one again, for ever.
        node.scan_script = lambda scan, request_id: [msgpack.packb([1, 5, request_id, [0, False, b"k", []]])]
        for options in ({"start": "k"}, {"end": "k", "reverse": True}):
            with self.assertRaises(distrikv.InternalError):
                next(client.scan(**options))

    def test_an_increment_answered_with_no_number_is_unknown(self):
        for wrong in (b"", b"many"):
            node = self.node(lambda operations, request_id, wrong=wrong: [
                msgpack.packb([1, 1, request_id, [[0, 1, 1, False, wrong]]])])
            with self.assertRaises(distrikv.UnknownOutcome):
                self.client(node).increment("n")

    def test_follows_moved(self):
        owner, other = self.node(), self.node()
        other.script = move_to(owner, 1)
        client = self.client(other)
        client.put("k", "v")
        self.assertEqual(owner.records, {b"k": b"v"})

    def test_reads_the_topology_of_a_cluster_with_fast_failover(self):
        node = self.node()
        node.topology = msgpack.packb([*msgpack.unpackb(one_shard(node, 5)), 1])
        self.assertEqual(self.client(node).topology().version, 5)

    def test_learns_the_newer_topology_that_moved_speaks_of(self):
        owner, other = self.node(), self.node()
        client = self.client(other)
        client.topology()
        other.script = move_to(owner, 2)
        other.topology = one_shard(owner, 2)
        client.put("k", "v")
        self.assertEqual(client.topology().version, 2)

    def test_retries_what_was_not_done(self):
        for code in (6, 7):
            node = self.node()
            node.script = self.after(3, refuse(code), node.serve)
            self.client(node).put("k", "v")
            self.assertEqual(node.requests, 4)
            node.script = self.after(3, refuse(code), node.serve)
            self.assertEqual(self.client(node).increment("n"), 1)

    def test_says_at_the_deadline_what_the_node_said(self):
        with self.assertRaisesRegex(distrikv.Overloaded, "by script"):
            self.client(self.node(refuse(6)), timeout=0.3).put("k", "v")

    def test_other_errors_are_final(self):
        for code, error in ((9, distrikv.DiskFull), (NOT_A_COUNTER, distrikv.NotACounter)):
            node = self.node(refuse(code))
            with self.assertRaises(error):
                self.client(node).increment("k")
            self.assertEqual(node.requests, 1)

    def test_a_write_without_an_answer_is_unknown_and_never_sent_twice(self):
        for write in (lambda client: client.put("k", "v"), lambda client: client.delete("k"),
                      lambda client: client.increment("k"),
                      lambda client: client.put("k", "v", condition=distrikv.if_missing())):
            node = self.node(lambda operations, request_id: [])
            with self.assertRaises(distrikv.UnknownOutcome):
                write(self.client(node, timeout=0.4))
            self.assertEqual(node.requests, 1)

    def test_a_write_that_is_to_be_done_once_is_sent_again_by_the_same_name(self):
        for silence in ([], [lambda request_id: msgpack.packb([1, 0, request_id, [8, "stepping down"]])]):
            node = self.node()
            node.script = self.after(
                2, lambda operations, request_id, say=silence: [one(request_id) for one in say], node.serve)
            client = self.client(node, timeout=8.0, exactly_once=True)
            client.topology()
            node.names.clear()
            self.assertEqual(client.increment("n"), 1)
            names = [name for name in node.names if name != (0, 0)]  # those of the topology are asked for without
            self.assertEqual(len(names), 3)
            self.assertEqual(len(set(names)), 1)
            self.assertEqual(client.increment("n"), 2)
            self.assertNotEqual(node.names[-1], names[0])
            client.get("n")
            self.assertEqual(node.names[-1], (0, 0))

    def test_a_name_of_the_callers_is_the_same_in_every_process(self):
        node = self.node()
        for _ in range(2):
            self.client(node).put("k", "v", once="order-17")
            # As the C++ client and HTTP have it.
            self.assertEqual(node.names[-1], (3347835856509036235, 1409400257874381373))
        with self.assertRaises(ValueError):
            self.client(node).put("k", "v", once="")
        with self.assertRaises(distrikv.Reused):
            self.client(self.node(refuse(17))).put("k", "v", once="order-17")

    def test_what_was_sent_once_and_then_refused_is_unknown(self):
        node = self.node()
        node.script = self.after(1, lambda operations, request_id: [], refuse(7))
        with self.assertRaises(distrikv.UnknownOutcome):
            self.client(node, timeout=1.0).put("k", "v", once="order-17")
        self.assertGreater(node.requests, 1)

    def test_a_failure_of_a_later_try_says_nothing_of_an_earlier_one(self):
        for write in (lambda client: client.put("k", "v"),
                      lambda client: client.execute_atomically([distrikv.put("k", "v")])):
            node = self.node()
            node.script = self.after(1, lambda operations, request_id: [], refuse(9))
            client = self.client(node, timeout=4.0, exactly_once=True)
            with self.assertRaises(distrikv.UnknownOutcome):
                write(client)
            self.assertEqual(node.requests, 2)
            with self.assertRaises(distrikv.DiskFull):
                write(client)

    def test_an_atomic_batch_that_is_to_be_done_once_has_one_name(self):
        node = self.node()
        node.script = self.after(1, lambda operations, request_id: [], node.serve)
        client = self.client(node, timeout=8.0)
        client.execute_atomically([distrikv.put("k", "v"), distrikv.increment("{k}n")], once="order-17")
        self.assertEqual(node.names[-1], (3347835856509036235, 1409400257874381373))
        self.assertTrue(node.atomic)
        self.assertEqual(node.records, {b"k": b"v", b"{k}n": b"1"})
        with self.assertRaises(distrikv.BadRequest):
            client.execute_atomically([distrikv.get("k")], once="order-17")
        self.client(node, exactly_once=True).execute_atomically([distrikv.get("k"), distrikv.put("k", "w")])
        self.assertEqual(node.names[-1], (0, 0))

    def test_a_session_carries_what_it_has_seen(self):
        node = self.node()
        answers = []

        def script(operations, request_id):
            answer = msgpack.unpackb(node.serve(operations, request_id)[0], raw=True, use_list=True)
            return [msgpack.packb([*answer, [12, [[1, 7, 10 + len(answers)]]]])]
        node.script = script
        session = distrikv.Session()
        client = self.client(node)
        client.put("k", "v", session=session)
        self.assertEqual(str(session), "12;1:7-10")
        answers.append(1)
        client.get("k", from_replica=True, session=session)
        self.assertEqual(node.sessions[-1], [[12, [[1, 7, 10]]]])
        self.assertEqual(str(session), "12;1:7-11")
        self.assertEqual(distrikv.Session(str(session)), session)
        for wrong in ("12", "12;1", "x;", "12;1:7-+1"):
            with self.assertRaises(ValueError):
                distrikv.Session(wrong)

    def test_a_scan_of_a_session_follows_to_where_it_can_be_answered(self):
        node = self.node()
        node.records, node.versions = {b"a": b"1"}, {b"a": (1, 1)}
        moved = [2, 1, "a", "a", node.endpoint, "127.0.1.1:8080", 1]
        turns = []

        def script(scan, request_id):
            turns.append(scan)
            if len(turns) == 1:
                return [msgpack.packb([1, protocol.TYPE_SCAN, request_id, moved])]
            answer = msgpack.unpackb(node.serve_scan(scan, request_id)[0], raw=True, use_list=True)
            return [msgpack.packb([*answer, [1, [[1, 7, 10]]]])]
        node.scan_script = script
        session = distrikv.Session("1;1:7-10")
        found = list(self.client(node).scan(from_replica=True, session=session))
        self.assertEqual([item.key for item in found], [b"a"])
        self.assertEqual(len(turns), 2)

    def test_many_calls_are_on_their_way_at_once(self):
        node = self.node()
        held = []

        def hold(operations, request_id):
            held.append((operations, request_id))
            if len(held) < 20:
                return []
            answers = [node.serve(*one)[0] for one in held]
            return answers[::-1]  # in any order
        node.script = hold
        client = self.client(node)
        pending = [client.submit([distrikv.put(f"k{i}", str(i))]) for i in range(20)]
        for one in pending:
            self.assertTrue(one.result()[0].ok)
            self.assertTrue(one.done())
        node.script = node.serve
        first = client.submit([distrikv.get("k1")])
        self.assertEqual(client.get("k2"), b"2")  # which takes in what comes for others
        self.assertEqual([item.key for item in client.scan(limit=1)], [b"k0"])
        self.assertEqual(first.result()[0].value, b"1")
        self.assertEqual(first.result()[0].value, b"1")
        self.assertEqual((client._open, client._callers), ({}, {}))

    def test_a_submitted_write_without_an_answer_is_unknown(self):
        client = self.client(self.node(lambda operations, request_id: []), timeout=0.4)
        pending = client.submit([distrikv.put("k", "v"), distrikv.get("k")])
        self.assertFalse(pending.done())
        self.assertEqual([result.code for result in pending.result()], [8, 7])
        self.assertEqual((client._open, client._callers), ({}, {}))

    def test_past_its_limit_the_oldest_is_waited_for(self):
        client = self.client(self.node())
        pending = [client.submit([distrikv.increment("n")]) for _ in range(1100)]
        self.assertLessEqual(len(client._open), 1000)
        self.assertEqual([int(one.result()[0].value) for one in pending], list(range(1, 1101)))

    def test_the_package_is_of_the_version_of_the_program(self):
        root = pathlib.Path(__file__).resolve().parents[3]
        version = re.search(r"project\(distrikv VERSION ([0-9.]+)", (root / "CMakeLists.txt").read_text()).group(1)
        self.assertIn(f'version = "{version}"', (root / "gateway/python/pyproject.toml").read_text())
        self.assertTrue((root / "gateway/python/distrikv/py.typed").exists())

    def test_a_read_without_an_answer_is_tried_again(self):
        node = self.node()
        node.script = self.after(1, lambda operations, request_id: [], node.serve)
        self.assertIsNone(self.client(node, timeout=4.0).get("k"))
        self.assertEqual(node.requests, 2)

    def test_a_read_leaves_a_silent_node_for_the_new_primary(self):
        old, new = self.node(), self.node()
        new.topology = old.topology

        def take_over(operations, request_id):
            old.topology = new.topology = one_shard(new, 2)
            return []
        old.script = take_over
        client = self.client(old, new)
        self.assertIsNone(client.get("k"))
        self.assertLessEqual(old.requests, 2)  # within its first try, of a second, unless the machine is slow
        self.assertEqual(client.topology().version, 2)

    def test_what_was_not_sent_to_a_dead_primary_goes_to_the_new_one(self):
        old, new = FakeNode(), self.node()
        new.topology = one_shard(old)
        old.close()
        client = self.client(new)
        client.topology()
        threading.Timer(0.3, lambda: setattr(new, "topology", one_shard(new, 2))).start()
        client.put("k", "v")
        self.assertEqual(new.records, {b"k": b"v"})

    def test_a_write_on_a_connection_that_is_lost_is_unknown_at_once(self):
        old, other = FakeNode(), self.node()
        other.topology = one_shard(old)
        came = threading.Event()
        old.script = lambda operations, request_id: came.set() or []
        client = self.client(other)
        client.topology()
        threading.Thread(target=lambda: (came.wait(), old.close())).start()
        began = time.monotonic()
        with self.assertRaisesRegex(distrikv.UnknownOutcome, "connection"):
            client.put("k", "v")
        self.assertLess(time.monotonic() - began, 15)  # of 20: and not at the deadline

    def test_a_read_that_was_given_up_together_with_a_write_is_asked_again(self):
        node = self.node()
        node.script = self.after(1, lambda operations, request_id: [
            msgpack.packb([1, 0, request_id, [8, "stepping down"]])], node.serve)
        read, write = self.client(node).execute([distrikv.get("k"), distrikv.put("k", "v")])
        self.assertEqual((read.code, write.code), (1, 8))
        self.assertEqual(node.requests, 2)

    def test_one_living_node_is_enough(self):
        dead = FakeNode()
        dead.close()
        self.client(dead.endpoint, self.node()).put("k", "v")

    def test_without_a_living_node_it_is_unavailable(self):
        dead = FakeNode()
        dead.close()
        with self.assertRaises(distrikv.Unavailable):
            self.client(dead.endpoint, timeout=0.3).put("k", "v")
        with self.assertRaises(distrikv.Unavailable):
            self.client("no endpoint", timeout=0.3).get("k")

    def test_ignores_garbage(self):
        node = self.node()

        def script(operations, request_id):
            good = node.serve(operations, request_id)
            return [b"", b"\xc1", msgpack.packb([1, 1, request_id, []]), msgpack.packb({"a": 1})] + good + good
        node.script = script
        client = self.client(node)
        client.put("k", "v")
        self.assertEqual(client.get("k"), b"v")

    def test_refuses_what_is_neither_bytes_nor_text(self):
        node = self.node()
        client = self.client(node)
        for wrong in (5, 0, True, 1.5, None, [1, 2], (1,), {"a": 1}, range(3)):
            for call in (lambda w: client.put("k", w), lambda w: client.put(w, "v"), client.get, client.delete,
                         client.increment, distrikv.get, distrikv.delete, lambda w: distrikv.put("k", w),
                         lambda w: distrikv.put(w, "v"), distrikv.increment):
                with self.assertRaisesRegex(TypeError, f"bytes or str, not {type(wrong).__name__}"):
                    call(wrong)
        self.assertEqual(node.requests, 0)
        for right in (b"v", bytearray(b"v"), memoryview(b"v"), "v"):
            client.put(right, right)
            self.assertEqual(client.get("v"), b"v")

    def test_refuses_what_is_no_condition_no_version_and_no_amount(self):
        node = self.node()
        client = self.client(node)
        for wrong in ((7, 1042), "missing", 0, True, distrikv.if_missing):
            for call in (lambda: client.put("k", "v", condition=wrong), lambda: client.delete("k", condition=wrong)):
                with self.assertRaisesRegex(TypeError, "condition"):
                    call()
        for wrong in (None, 7, (7,), (7, 8, 9), (7, -1), (7, 2**64), (True, 1), ("7", "1042"), '"7-1042"'):
            with self.assertRaisesRegex(TypeError, "version"):
                distrikv.if_version(wrong)
        for wrong in (None, True, 1.0, "1", b"1"):
            with self.assertRaisesRegex(TypeError, f"int, not {type(wrong).__name__}"):
                client.increment("k", wrong)
        for wrong in (2**63, -2**63 - 1):
            with self.assertRaisesRegex(distrikv.BadRequest, "64-bit"):
                client.increment("k", wrong)
        with self.assertRaisesRegex(distrikv.BadRequest, "missing"):
            client.delete("k", condition=distrikv.if_missing())
        self.assertEqual(node.requests, 0)

    def test_refuses_bad_keys_itself(self):
        client = self.client(self.node())
        with self.assertRaises(distrikv.BadRequest):
            client.put("", "v")
        with self.assertRaises(distrikv.TooLarge):
            client.get("k" * 481)


if __name__ == "__main__":
    unittest.main()
