"""The Python client against a running cluster, whose rpc endpoints the environment variable DISTRIKV_NODES
names ("127.0.0.2:7001,127.0.0.3:7001"). Leaves no keys behind."""

import dataclasses
import os
import threading
import unittest
import uuid

import distrikv

NODES = [node for node in os.environ.get("DISTRIKV_NODES", "").split(",") if node]


@unittest.skipUnless(NODES, "no cluster: set DISTRIKV_NODES to its rpc endpoints, separated by commas")
class Live(unittest.TestCase):
    def setUp(self):
        self.client = distrikv.Client(NODES, timeout=10.0)
        self.addCleanup(self.client.close)
        self.prefix = f"python-test-{uuid.uuid4()}-".encode()
        self.keys = []
        self.addCleanup(lambda: self.client.execute([distrikv.delete(key) for key in self.keys]))

    def key(self, name):
        self.keys.append(self.prefix + name)
        return self.keys[-1]

    def test_puts_gets_and_deletes(self):
        key = self.key(b"city")
        self.assertIsNone(self.client.get(key))
        first = self.client.put(key, "Delhi")
        second = self.client.put(key, "Mumbai")
        self.assertGreater(second, first)
        self.assertEqual(self.client.get(key), b"Mumbai")
        self.assertTrue(self.client.delete(key))
        self.assertFalse(self.client.delete(key))

    def test_watches_what_happens_and_goes_on_after_a_place(self):
        key, other = self.key(b"watched"), self.key(b"\xff\x00")
        watch = self.client.watch(self.prefix)
        self.assertEqual(next(watch).kind, "open")
        first = self.client.put(key, "1")
        event = next(watch)
        self.assertEqual((event.kind, event.key, event.value, event.version), ("put", key, b"1", first))
        watch.close()
        self.client.put(other, b"\x00\xff")
        self.client.delete(other)
        later = self.client.watch(self.prefix, after=event.place, keys_only=True)
        self.assertEqual(next(later).kind, "open")
        told = [next(later), next(later)]
        self.assertEqual([(one.kind, one.key, one.value) for one in told], [("put", other, b""), ("delete", other, b"")])
        self.assertGreater(told[1].version, told[0].version)
        with self.assertRaises(distrikv.BadRequest):
            next(self.client.watch(after="nonsense"))

    def together(self, count, work):
        """What work(client) returned in so many threads at once, each with a client of its own."""
        results, start = [], threading.Barrier(count)

        def run():
            with distrikv.Client(NODES, timeout=20.0) as client:
                client.topology()
                start.wait(20)
                results.append(work(client))
        threads = [threading.Thread(target=run) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(results), count)
        return results

    def test_writes_over_the_version_that_was_read(self):
        key = self.key(b"compared")
        first = self.client.put(key, "1")
        self.assertEqual(self.client.get_record(key), distrikv.Record(b"1", first))
        second = self.client.put(key, "2", condition=distrikv.if_version(first))
        self.assertGreater(second, first)
        for write in (lambda condition: self.client.put(key, "3", condition=condition),
                      lambda condition: self.client.delete(key, condition=condition)):
            with self.assertRaises(distrikv.ConditionFailed) as failed:
                write(distrikv.if_version(first))
            self.assertEqual(failed.exception.version, second)
        self.assertEqual(self.client.get_record(key), distrikv.Record(b"2", second))
        self.assertTrue(self.client.delete(key, condition=distrikv.if_version(second)))
        for write in (lambda condition: self.client.put(key, "4", condition=condition),
                      lambda condition: self.client.delete(key, condition=condition)):
            for condition in (distrikv.if_version(second), distrikv.if_exists()):
                with self.assertRaises(distrikv.ConditionFailed) as failed:
                    write(condition)
                self.assertIsNone(failed.exception.version)
        self.assertIsNone(self.client.get(key))

    def test_no_update_by_compare_and_set_is_lost(self):
        key = self.key(b"appended")
        self.client.put(key, b"")

        def append(client):
            for _ in range(10):
                while True:
                    record = client.get_record(key)
                    try:
                        client.put(key, record.value + b"x", condition=distrikv.if_version(record.version))
                        break
                    except distrikv.ConditionFailed as failed:
                        self.assertGreater(failed.version, record.version)
        self.together(3, append)
        self.assertEqual(self.client.get(key), b"x" * 30)

    def test_of_many_who_create_a_key_one_does(self):
        for round_ in range(5):
            key = self.key(b"created-%d" % round_)

            def create(client):
                mine = uuid.uuid4().bytes
                try:
                    return client.put(key, mine, condition=distrikv.if_missing()), mine
                except distrikv.ConditionFailed as failed:
                    return failed.version, None
            outcomes = self.together(4, create)
            self.assertEqual([value for _, value in outcomes if value], [self.client.get(key)])
            self.assertEqual(len({version for version, _ in outcomes}), 1)

    def test_counts_what_many_add(self):
        key = self.key(b"counter")
        sums = self.together(4, lambda client: [client.increment(key, 3) for _ in range(25)])
        self.assertEqual(sorted(sum(sums, [])), list(range(3, 301, 3)))
        self.assertEqual(self.client.increment(key, -301), -1)
        self.assertEqual(self.client.get(key), b"-1")

    def test_refuses_to_count_what_is_no_number_or_too_much(self):
        key = self.key(b"not-a-counter")
        for text in ("", "x", "1.0", "+1", "01", "-0", " 1", "9223372036854775808", b"\x00"):
            version = self.client.put(key, text)
            with self.assertRaises(distrikv.NotACounter):
                self.client.increment(key)
            self.assertEqual(self.client.get_record(key).version, version)
        for end, over in ((2**63 - 1, 1), (-2**63, -1)):
            self.client.delete(key)
            self.assertEqual(self.client.increment(key, end), end)
            with self.assertRaises(distrikv.NotACounter):
                self.client.increment(key, over)
            self.assertEqual(self.client.get(key), b"%d" % end)

    def test_conditions_see_what_stands_before_them_in_one_request(self):
        key = self.key(b"in-order")
        results = self.client.execute([
            distrikv.put(key, "1", True, condition=distrikv.if_missing()),
            distrikv.put(key, "2", condition=distrikv.if_missing()),
            distrikv.increment(key, 5),
            distrikv.delete(key, condition=distrikv.if_exists()),
            distrikv.delete(key, condition=distrikv.if_exists()),
            distrikv.delete(key)])
        self.assertEqual([result.code for result in results], [0, 14, 0, 0, 14, 1])
        self.assertTrue(results[0].created)
        self.assertEqual(results[1].version, results[0].version)
        self.assertEqual(results[2].value, b"6")
        self.assertIsNone(results[4].version)

    def test_does_all_of_an_atomic_batch_or_nothing(self):
        tag = b"{%s}" % self.prefix
        self.prefix = tag
        one, other, counter = self.key(b"one"), self.key(b"other"), self.key(b"counter")
        results = self.client.execute_atomically([
            distrikv.put(one, "1", True, condition=distrikv.if_missing()), distrikv.get(one),
            distrikv.increment(counter, 5), distrikv.delete(other)])
        self.assertEqual([result.code for result in results], [0, 0, 0, 1])
        self.assertEqual([result.value for result in results[1:3]], [b"1", b"5"])
        for wrong, error in ((distrikv.put(one, "2", condition=distrikv.if_missing()), distrikv.ConditionFailed),
                             (distrikv.put(one, "2", condition=distrikv.if_version((1, 1))), distrikv.ConditionFailed),
                             (distrikv.increment(counter, 2**63 - 1), distrikv.NotACounter)):
            with self.assertRaisesRegex(error, "operation 2: "):
                self.client.execute_atomically([distrikv.put(other, "x"), distrikv.increment(counter), wrong])
        self.assertIsNone(self.client.get(other))
        self.assertEqual(self.client.get(counter), b"5")

    def test_atomic_batches_come_one_after_the_other(self):
        self.prefix = b"{%s}" % self.prefix
        keys = [self.key(b"%d" % i) for i in range(3)]

        def move(client):
            return [[result.value for result in client.execute_atomically([distrikv.increment(key) for key in keys])]
                    for _ in range(20)]
        moves = self.together(3, move)
        self.assertEqual(sorted(sums for one in moves for sums in one),
                         sorted([b"%d" % i] * 3 for i in range(1, 61)))

    def test_scans_in_the_order_of_keys(self):
        keys = [self.key(b"%04d" % i) for i in range(1500)]
        self.client.execute([distrikv.put(key, key) for key in keys])
        items = list(self.client.scan(self.prefix))
        self.assertEqual([item.key for item in items], keys)
        self.assertEqual([item.value for item in items], keys)
        self.assertEqual(self.client.get_record(keys[7]).version, items[7].version)

        def scanned(**options):
            return [item.key for item in self.client.scan(self.prefix, **options)]
        self.assertEqual(scanned(reverse=True, keys_only=True), keys[::-1])
        self.assertEqual(scanned(start=keys[10], end=keys[1200]), keys[10:1200])
        self.assertEqual(scanned(start=keys[10], limit=5), keys[10:15])
        self.assertEqual(scanned(reverse=True, end=keys[700], limit=20), keys[699:679:-1])

    def test_keeps_any_bytes(self):
        key = self.key(b"\x00\xff\r\n/{}%")
        for value in (b"", bytes(range(256)), os.urandom(1 << 20)):
            self.client.put(key, value)
            self.assertEqual(self.client.get(key), value)

    def test_many_keys_on_every_shard(self):
        keys = [self.key(b"%d" % i) for i in range(500)]
        results = self.client.execute([distrikv.put(key, key) for key in keys])
        self.assertEqual({result.code for result in results}, {0})
        results = self.client.execute([distrikv.get(key) for key in keys])
        self.assertEqual([result.value for result in results], keys)
        topology = self.client.topology()
        self.assertEqual({topology.owners[distrikv.slot_of(key)] for key in keys}, set(topology.shards))

    def test_follows_moved_from_a_wrong_idea_of_the_topology(self):
        topology = self.client.topology()
        for wrong in topology.shards:
            owners = [wrong] * distrikv.SLOT_COUNT
            self.client._topology = dataclasses.replace(topology, owners=owners)
            key = self.key(b"moved-%d" % wrong)
            self.client.put(key, b"v")
            self.assertEqual(self.client.get(key), b"v")

    def test_reads_from_replicas(self):
        key = self.key(b"replicated")
        self.client.put(key, b"v")
        # A replica may be behind for a moment: what it has is the value, or not yet anything.
        for _ in range(10):
            self.assertIn(self.client.get(key, from_replica=True), (b"v", None))

    def test_every_node_tells_the_topology_and_its_status(self):
        for node in self.client.topology().nodes.values():
            self.assertEqual(self.client.status(node.rpc)["node"], node.name)
            with distrikv.Client([node.rpc]) as other:
                self.assertEqual(other.topology().id, self.client.topology().id)


if __name__ == "__main__":
    unittest.main()
