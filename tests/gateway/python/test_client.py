"""The Python client among scripted nodes: MOVED, refusals, silence, garbage."""

import threading
import time
import unittest

import msgpack
import zmq

import distrikv
from distrikv import protocol


class FakeNode:
    """A ROUTER on a thread; `script(operations, request_id)` returns the messages to send back."""

    def __init__(self, script=None):
        self.script = script or self.serve
        self.records = {}
        self.topology = b""
        self.requests = 0
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
            _, type_, request_id, _, _, body = msgpack.unpackb(data, raw=True)
            if type_ == protocol.TYPE_TOPOLOGY:
                replies = [msgpack.packb([1, type_, request_id, [1, self.topology]])]
            else:
                self.requests += 1
                replies = self.script(body[2], request_id)
            for reply in replies:
                self._socket.send_multipart([sender, reply])

    def serve(self, operations, request_id):
        results = []
        for code, key, *value in operations:
            if code == protocol.PUT:
                self.records[key] = value[0]
            elif key not in self.records:
                results.append([1, "no such key"])
                continue
            found = self.records[key] if code == protocol.GET else b""
            if code == protocol.REMOVE:
                del self.records[key]
            results.append([0, 1, 1, False, found])
        return [msgpack.packb([1, 1, request_id, results])]


def refuse(code):
    return lambda operations, request_id: [msgpack.packb([1, 1, request_id, [[code, "by script"]] * len(operations)])]


def move_to(node, version):
    moved = [2, 1, "a", "a", node.endpoint, "127.0.1.1:8080", version]
    return lambda operations, request_id: [msgpack.packb([1, 1, request_id, [moved] * len(operations)])]


def one_shard(node, version=1):
    return msgpack.packb([2, version, 99, 4711, "test", [[1, "a", "h:1", node.endpoint, "h:2", "h:3", "h:4"]],
                          [[1, "a", 1, 1, [], [], 0, 0, 0, []]], [[1, 4712, 1]], [[0, 16383, 1]]])


class ClientTest(unittest.TestCase):
    def node(self, script=None):
        node = FakeNode(script)
        self.addCleanup(node.close)
        node.topology = one_shard(node)
        return node

    def client(self, *nodes, timeout=20.0):
        client = distrikv.Client([node if isinstance(node, str) else node.endpoint for node in nodes], timeout)
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

    def test_executes_many_and_keeps_their_order(self):
        node = self.node()
        client = self.client(node)
        count = protocol.MAX_OPERATIONS + 1
        puts = [distrikv.put(f"k{i}", f"v{i}") for i in range(count)]
        self.assertTrue(all(result.ok for result in client.execute(puts)))
        self.assertEqual(node.requests, 2)
        gets = [distrikv.get(f"k{i}") for i in range(count)]
        self.assertEqual([result.value for result in client.execute(gets)], [b"v%d" % i for i in range(count)])

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

    def test_says_at_the_deadline_what_the_node_said(self):
        with self.assertRaisesRegex(distrikv.Overloaded, "by script"):
            self.client(self.node(refuse(6)), timeout=0.3).put("k", "v")

    def test_other_errors_are_final(self):
        node = self.node(refuse(9))
        with self.assertRaises(distrikv.DiskFull):
            self.client(node).put("k", "v")
        self.assertEqual(node.requests, 1)

    def test_a_write_without_an_answer_is_unknown_and_never_sent_twice(self):
        node = self.node(lambda operations, request_id: [])
        client = self.client(node, timeout=0.4)
        with self.assertRaises(distrikv.UnknownOutcome):
            client.put("k", "v")
        self.assertEqual(node.requests, 1)

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
                         distrikv.get, distrikv.delete, lambda w: distrikv.put("k", w),
                         lambda w: distrikv.put(w, "v")):
                with self.assertRaisesRegex(TypeError, f"bytes or str, not {type(wrong).__name__}"):
                    call(wrong)
        self.assertEqual(node.requests, 0)
        for right in (b"v", bytearray(b"v"), memoryview(b"v"), "v"):
            client.put(right, right)
            self.assertEqual(client.get("v"), b"v")

    def test_refuses_bad_keys_itself(self):
        client = self.client(self.node())
        with self.assertRaises(distrikv.BadRequest):
            client.put("", "v")
        with self.assertRaises(distrikv.TooLarge):
            client.get("k" * 481)


if __name__ == "__main__":
    unittest.main()
