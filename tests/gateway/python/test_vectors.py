"""The Python client against messages/vectors.json and topology/slot_vectors.json. No server is needed."""

import json
import os
import random
import unittest

from distrikv import Session, protocol, slot_of

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
TYPES = {"operations": protocol.TYPE_OPERATIONS, "topology": protocol.TYPE_TOPOLOGY, "status": protocol.TYPE_STATUS,
         "control": protocol.TYPE_CONTROL, "scan": protocol.TYPE_SCAN}
CODES = {"get": protocol.GET, "put": protocol.PUT, "remove": protocol.REMOVE, "increment": protocol.INCREMENT,
         "touch": protocol.TOUCH}
CONDITIONS = {"version": protocol.IF_VERSION, "exists": protocol.IF_EXISTS, "missing": protocol.IF_MISSING}


def load(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return json.load(file)


VECTORS = load("messages", "vectors.json")


def operation(meaning):
    return protocol.Operation(CODES[meaning["op"]], bytes.fromhex(meaning["key_hex"]),
                              bytes.fromhex(meaning.get("value_hex", "")),
                              report_created=meaning.get("report_created", False),
                              condition=condition(meaning.get("condition")), amount=meaning.get("amount", 0),
                              ttl_ms=meaning.get("ttl_ms") if isinstance(meaning.get("ttl_ms"), int) else None,
                              keep_ttl=meaning.get("ttl_ms") == "keep")


def condition(meaning):
    if meaning is None:
        return None
    return protocol.Condition(CONDITIONS[meaning["kind"]], (meaning.get("epoch", 0), meaning.get("seq", 0)))


def expected_moved(meaning):
    return protocol.Moved(meaning["shard"], meaning["shard_name"], meaning["node_name"], meaning["rpc_endpoint"],
                          meaning["http_endpoint"], meaning["topology_version"])


def expected_page(meaning):
    if "moved" in meaning:
        return protocol.Page([], moved=expected_moved(meaning["moved"]))
    items = [protocol.Item(bytes.fromhex(item["key_hex"]), bytes.fromhex(item["value_hex"]),
                           (item["epoch"], item["seq"])) for item in meaning["items"]]
    return protocol.Page(items, bytes.fromhex(meaning["next_hex"]))


def expected_scan(meaning):
    if "scan" not in meaning:
        return None
    scan = meaning["scan"]
    return protocol.Scan(scan["shard"], bytes.fromhex(scan["from_hex"]), bytes.fromhex(scan["to_hex"]), scan["down"],
                         scan["keys_only"], scan["limit"])


def session_of(meaning):
    if "session" not in meaning:
        return None
    session = Session()
    session.topology_version = meaning["session"]["topology_version"]
    session.seen = {shard: (epoch, seq) for shard, epoch, seq in meaning["session"]["seen"]}
    return session


def numbers_of(meaning):
    """Of operations that are to be done once, in no atomic batch."""
    if not meaning["number"] or meaning.get("atomic") or meaning["type"] != "operations":
        return []
    return [one.get("number", meaning["number"] + place) for place, one in enumerate(meaning["operations"])]


def expected_result(meaning):
    if meaning["code"] == 0:
        return protocol.Result(0, (meaning["epoch"], meaning["seq"]), meaning["created"],
                               bytes.fromhex(meaning["value_hex"]), ttl_ms=meaning.get("ttl_ms"))
    if meaning["code"] == 2:
        return protocol.Result(2, moved=expected_moved(meaning["moved"]))
    if meaning["code"] == 14:
        version = (meaning["epoch"], meaning["seq"])
        return protocol.Result(14, None if version == (0, 0) else version, message=meaning["message"])
    return protocol.Result(meaning["code"], message=meaning["message"])


def expected_control(meaning):
    if "control" not in meaning:
        return None
    control = meaning["control"]
    action = {"hand_over": protocol.HAND_OVER, "promote": protocol.PROMOTE}[control["action"]]
    return protocol.Control(action, control["shard"], control["node"])


def expected_body(meaning):
    if "error" in meaning:
        return protocol.Refusal(meaning["error"]["code"], meaning["error"]["message"])
    if "topology" in meaning:
        return protocol.TopologyReply(meaning["topology"]["version"],
                                      bytes.fromhex(meaning["topology"]["encoded_hex"]))
    if "status" in meaning:
        return meaning["status"]
    if "control" in meaning:
        return protocol.ControlReply(meaning["control"]["text"])
    if "page" in meaning:
        return expected_page(meaning["page"])
    return [expected_result(result) for result in meaning["results"]]


class Vectors(unittest.TestCase):
    def test_requests_are_encoded_to_exactly_these_bytes(self):
        self.assertGreater(len(VECTORS["rpc_requests"]), 5)
        for vector in VECTORS["rpc_requests"]:
            with self.subTest(vector["name"]):
                meaning = vector["request"]
                data = protocol.encode_request(
                    TYPES[meaning["type"]], meaning["request_id"],
                    [operation(one) for one in meaning.get("operations", [])],
                    read=["linearizable", "replica"].index(meaning.get("scan", meaning).get("read", "linearizable")),
                    ack=["committed", "local"].index(meaning.get("ack", "committed")),
                    client_id=meaning["client_id"], number=meaning["number"], control=expected_control(meaning),
                    atomic=meaning.get("atomic", False), scan=expected_scan(meaning), numbers=numbers_of(meaning),
                    session=session_of(meaning))
                self.assertEqual(data.hex(), vector["hex"])

    def test_replies_are_decoded_to_exactly_this_meaning(self):
        self.assertGreater(len(VECTORS["rpc_replies"]), 5)
        for vector in VECTORS["rpc_replies"]:
            with self.subTest(vector["name"]):
                data = bytes.fromhex(vector["hex"])
                reply = protocol.decode_reply(data, [CODES[name] for name in vector["asked"]])
                self.assertEqual(reply.request_id, vector["reply"]["request_id"])
                self.assertEqual(reply.body, expected_body(vector["reply"]))
                self.assertEqual(reply.session, session_of(vector["reply"]))
                self.assertEqual(protocol.peek_request_id(data), reply.request_id)

    def test_bad_replies_are_refused(self):
        for vector in VECTORS["rpc_replies_refused"]:
            with self.subTest(vector["name"]):
                asked = [CODES[name] for name in vector["asked"]]
                try:
                    body = protocol.decode_reply(bytes.fromhex(vector["hex"]), asked).body
                except protocol.Malformed:
                    continue
                self.assertIsInstance(body, protocol.Refusal)
                self.assertEqual(body.code, 5)

    def test_damaged_replies_raise_malformed_and_nothing_else(self):
        rng = random.Random(1)
        for vector in VECTORS["rpc_replies"]:
            asked = [CODES[name] for name in vector["asked"]]
            for _ in range(300):
                data = bytearray.fromhex(vector["hex"])
                for _ in range(rng.randint(1, 4)):
                    data[rng.randrange(len(data))] = rng.randrange(256)
                cut = bytes(data[:rng.randrange(1, len(data) + 1)])
                try:
                    protocol.decode_reply(cut, asked)
                except protocol.Malformed:
                    pass

    def test_a_header_that_claims_gigabytes_is_refused(self):
        for data in (b"\xdd\xff\xff\xff\xff", b"\x94\x01\x01\x01\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xffx"):
            with self.assertRaises(protocol.Malformed):
                protocol.decode_reply(data, [protocol.GET])


class Slots(unittest.TestCase):
    def test_every_slot_vector_agrees(self):
        vectors = load("topology", "slot_vectors.json")["vectors"]
        self.assertGreater(len(vectors), 5)
        for vector in vectors:
            with self.subTest(vector):
                self.assertEqual(slot_of(bytes.fromhex(vector["key_hex"])), vector["slot"])


if __name__ == "__main__":
    unittest.main()
