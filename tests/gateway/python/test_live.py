"""The Python client against a running cluster, whose rpc endpoints the environment variable DISTRIKV_NODES
names ("127.0.0.2:7001,127.0.0.3:7001"). Leaves no keys behind."""

import dataclasses
import os
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
