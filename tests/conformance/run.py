"""The same cases through every door of a running cluster: each must be answered as the case says, and so all doors alike.

    run.py --http HOST:PORT --rpc HOST:PORT --programs FOLDER

PYTHONPATH must hold gateway/python. Prints a table, case by door: the calls that it took; "-" where the door cannot say
what the case asks; FAILED. Exit codes: 0 all hold, 1 not.
"""

import argparse
import os
import sys
import time
import traceback
import uuid
from typing import Any, Callable, Dict, List, Optional

from doors import Answer, CommandLine, Cpp, Door, Http, Python, Rpc, Unfit

BINARY = bytes(range(256))


class Keys:
    """A door, and keys that nobody else has."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.prefix = f"{door.name}-{uuid.uuid4()}/".encode()
        self.calls = 0

    def _one(self, op: str, name: bytes, **more: Any) -> Answer:
        self.calls += 1
        return self.door.one({"op": op, "key": self.prefix + name, **more})

    def get(self, name: bytes) -> Answer:
        return self._one("get", name)

    def put(self, name: bytes, value: bytes, condition: Any = None, ttl: Any = None) -> Answer:
        return self._one("put", name, value=value, condition=condition, ttl=ttl)

    def touch(self, name: bytes, ttl: Any) -> Answer:
        return self._one("touch", name, ttl=ttl)

    def delete(self, name: bytes, condition: Any = None) -> Answer:
        return self._one("delete", name, condition=condition)

    def increment(self, name: bytes, by: int = 1) -> Answer:
        return self._one("increment", name, by=by)

    def batch(self, *operations: Dict[str, Any], atomic: bool = True, once: Optional[str] = None) -> List[Answer]:
        self.calls += 1
        tag = b"{" + self.prefix + b"}" if atomic else self.prefix
        return self.door.batch([{**operation, "key": tag + operation["key"]} for operation in operations], atomic, once)

    def once(self, op: str, name: bytes, once: str, **more: Any) -> Answer:
        return self._one(op, name, once=self.prefix.decode() + once, **more)

    def tagged(self, name: bytes) -> Answer:
        """get() of a key that an atomic batch has named so."""
        self.calls += 1
        return self.door.one({"op": "get", "key": b"{" + self.prefix + b"}" + name})


def expect(answer: Answer, code: str, value: Optional[bytes] = None, created: Optional[bool] = None,
           version: Any = None) -> Answer:
    """Of what the door tells: `version` is one that it must be, or "none" for no record."""
    assert answer.code == code, f"{answer}, where {code} was expected"
    assert value is None or answer.value == value, f"{answer}, where {value!r} was expected"
    assert created is None or answer.created in (None, created), f"{answer}, where created={created} was expected"
    if version == "none":
        assert answer.version is None, f"{answer}, where there is no record"
    elif version is not None:
        assert answer.version in (None, version), f"{answer}, where version {version} was expected"
    return answer


def a_value_comes_back(keys: Keys) -> None:
    expect(keys.get(b"k"), "not_found")
    first = expect(keys.put(b"k", b"Delhi"), "ok", created=True)
    expect(keys.get(b"k"), "ok", b"Delhi", version=first.version)
    second = expect(keys.put(b"k", b"Mumbai"), "ok", created=False)
    assert second.version > first.version
    expect(keys.get(b"k"), "ok", b"Mumbai", version=second.version)
    expect(keys.delete(b"k"), "ok")
    expect(keys.delete(b"k"), "not_found")
    expect(keys.get(b"k"), "not_found")


def an_empty_value_is_one(keys: Keys) -> None:
    expect(keys.put(b"k", b""), "ok", created=True)
    expect(keys.get(b"k"), "ok", b"")


def any_bytes_are_a_value(keys: Keys) -> None:
    expect(keys.put(b"k", BINARY), "ok")
    expect(keys.get(b"k"), "ok", BINARY)


def any_bytes_but_nul_are_a_key(keys: Keys) -> None:
    name = BINARY[1:] + b"/../?#%&=+"
    expect(keys.put(name, b"v"), "ok")
    expect(keys.get(name), "ok", b"v")
    expect(keys.delete(name), "ok")


def nul_is_a_byte_of_a_key(keys: Keys) -> None:
    expect(keys.put(b"a\0b", b"v"), "ok")
    expect(keys.get(b"a\0b"), "ok", b"v")
    expect(keys.get(b"a"), "not_found")


def a_key_has_1_to_480_bytes(keys: Keys) -> None:
    longest = b"k" * (480 - len(keys.prefix))
    expect(keys.put(longest, b"v"), "ok")
    expect(keys.get(longest), "ok", b"v")
    for answer in (keys.put(longest + b"k", b"v"), keys.get(longest + b"k"), keys.delete(longest + b"k"),
                   keys.increment(longest + b"k")):
        expect(answer, "too_large")
    keys.prefix = b""
    for answer in (keys.put(b"", b"v"), keys.get(b""), keys.delete(b""), keys.increment(b"")):
        expect(answer, "bad_request")


def a_condition_is_a_version(keys: Keys) -> None:
    first = expect(keys.put(b"k", b"1"), "ok").version
    second = expect(keys.put(b"k", b"2", condition=first), "ok", created=False).version
    expect(keys.put(b"k", b"3", condition=first), "condition_failed", version=second)
    expect(keys.delete(b"k", condition=first), "condition_failed", version=second)
    expect(keys.get(b"k"), "ok", b"2", version=second)
    expect(keys.delete(b"k", condition=second), "ok")
    expect(keys.put(b"k", b"4", condition=second), "condition_failed", version="none")
    expect(keys.delete(b"k", condition=second), "condition_failed", version="none")
    expect(keys.get(b"k"), "not_found")


def a_condition_is_that_there_is_a_record_or_none(keys: Keys) -> None:
    expect(keys.put(b"k", b"1", condition="exists"), "condition_failed", version="none")
    expect(keys.delete(b"k", condition="exists"), "condition_failed", version="none")
    first = expect(keys.put(b"k", b"2", condition="missing"), "ok", created=True).version
    expect(keys.put(b"k", b"3", condition="missing"), "condition_failed", version=first)
    expect(keys.put(b"k", b"4", condition="exists"), "ok", created=False)
    expect(keys.get(b"k"), "ok", b"4")
    expect(keys.delete(b"k", condition="exists"), "ok")


def a_counter_counts(keys: Keys) -> None:
    expect(keys.increment(b"n"), "ok", b"1")
    expect(keys.increment(b"n", 41), "ok", b"42")
    counted = expect(keys.increment(b"n", -50), "ok", b"-8").version
    expect(keys.get(b"n"), "ok", b"-8", version=counted)
    expect(keys.put(b"n", b"9223372036854775806"), "ok")
    expect(keys.increment(b"n", 1), "ok", b"9223372036854775807")
    expect(keys.increment(b"n", 1), "not_a_counter")
    expect(keys.increment(b"n", -2 ** 63), "ok", b"-1")
    expect(keys.increment(b"n", 0), "ok", b"-1")


def what_is_no_number_stays(keys: Keys) -> None:
    for text in (b"", b"one", b"1.0", b" 1", b"+1", b"01", b"-0", b"9223372036854775808"):
        expect(keys.put(b"n", text), "ok")
        expect(keys.increment(b"n"), "not_a_counter")
        expect(keys.get(b"n"), "ok", text)


def a_record_lives_as_long_as_it_was_given(keys: Keys) -> None:
    hour = 3_600_000
    expect(keys.put(b"k", b"1", ttl=3600), "ok")
    left = expect(keys.get(b"k"), "ok", b"1").ttl_ms
    assert left is not None and hour - 600_000 < left <= hour, left
    expect(keys.put(b"k", b"2", ttl="keep"), "ok")
    expect(keys.increment(b"k", 3), "ok", b"5")
    left = expect(keys.get(b"k"), "ok", b"5").ttl_ms
    assert left is not None and hour - 600_000 < left <= hour, left
    expect(keys.touch(b"k", 7200), "ok")
    left = expect(keys.get(b"k"), "ok", b"5").ttl_ms
    assert left is not None and 2 * hour - 600_000 < left <= 2 * hour, left
    expect(keys.touch(b"k", "forever"), "ok")
    assert expect(keys.get(b"k"), "ok", b"5").ttl_ms is None
    expect(keys.put(b"k", b"6", ttl=3600), "ok")
    expect(keys.put(b"k", b"7"), "ok")
    assert expect(keys.get(b"k"), "ok", b"7").ttl_ms is None
    expect(keys.touch(b"never", 1), "not_found")


def a_record_whose_time_is_over_is_gone(keys: Keys) -> None:
    expect(keys.put(b"k", b"1", ttl=0.001), "ok")
    time.sleep(0.002)
    expect(keys.get(b"k"), "not_found")
    expect(keys.touch(b"k", 60), "not_found")
    expect(keys.put(b"k", b"2", condition="missing", ttl=3600), "ok", created=True)
    expect(keys.get(b"k"), "ok", b"2")
    done = keys.batch({"op": "put", "key": b"k", "value": b"1", "ttl": 60}, {"op": "get", "key": b"k"},
                      {"op": "touch", "key": b"k", "ttl": "forever"}, {"op": "get", "key": b"k"})
    for answer in done:
        expect(answer, "ok")
    assert done[1].ttl_ms is not None and done[3].ttl_ms is None, done


def an_atomic_batch_is_done_as_a_whole(keys: Keys) -> None:
    done = keys.batch({"op": "put", "key": b"n", "value": b"41"}, {"op": "increment", "key": b"n", "by": 1},
                      {"op": "get", "key": b"n"}, {"op": "put", "key": b"k", "value": BINARY},
                      {"op": "delete", "key": b"n"}, {"op": "get", "key": b"n"}, {"op": "delete", "key": b"n"})
    for answer, code, value in zip(done, ["ok"] * 5 + ["not_found"] * 2, [None, b"42", b"42"] + [None] * 4):
        expect(answer, code, value)
    expect(keys.tagged(b"k"), "ok", BINARY, version=done[3].version)
    expect(keys.tagged(b"n"), "not_found")


def an_atomic_batch_that_fails_leaves_nothing(keys: Keys) -> None:
    first = keys.batch({"op": "put", "key": b"k", "value": b"1"})[0].version
    failed = keys.batch({"op": "put", "key": b"a", "value": b"1"}, {"op": "delete", "key": b"k"},
                        {"op": "put", "key": b"k", "value": b"2", "condition": first},
                        {"op": "increment", "key": b"n", "by": 1})
    for answer, code in zip(failed, ["aborted", "aborted", "condition_failed", "aborted"]):
        expect(answer, code)
    expect(keys.tagged(b"a"), "not_found")
    expect(keys.tagged(b"n"), "not_found")
    expect(keys.tagged(b"k"), "ok", b"1", version=first)
    too_large = keys.batch({"op": "put", "key": b"a", "value": b"1"}, {"op": "get", "key": b"k" * 481})
    expect(too_large[0], "aborted")
    expect(too_large[1], "too_large")


def an_atomic_batch_is_of_one_slot(keys: Keys) -> None:
    keys.calls += 1
    refused = keys.door.batch([{"op": "put", "key": keys.prefix + bytes([byte]), "value": b"v"} for byte in b"abcdef"],
                              True)
    for answer in refused:
        expect(answer, "bad_request")
    for byte in b"abcdef":
        expect(keys.get(bytes([byte])), "not_found")


def a_batch_is_of_any_keys(keys: Keys) -> None:
    names = [b"batch-%d" % i for i in range(40)]
    for answer in keys.batch(*({"op": "put", "key": name, "value": name} for name in names), atomic=False):
        expect(answer, "ok", created=True)
    read = keys.batch(*({"op": "get", "key": name} for name in [b"missing"] + names), atomic=False)
    expect(read[0], "not_found")
    for answer, name in zip(read[1:], names):
        expect(answer, "ok", name)
    mixed = keys.batch({"op": "put", "key": names[0], "value": b"v", "condition": "missing"},
                       {"op": "put", "key": names[1], "value": b"v"}, atomic=False)
    expect(mixed[0], "condition_failed", version=read[1].version)
    expect(mixed[1], "ok")


def a_scan_is_in_order(keys: Keys) -> None:
    names = sorted([b"scan-%d" % i for i in range(60)] + [b"scan-\xff\x01", b"scan-\0"])
    keys.batch(*({"op": "put", "key": name, "value": name[::-1]} for name in names), atomic=False)
    wanted = [(keys.prefix + name, name[::-1]) for name in names]

    def scan(**options: Any) -> list:
        keys.calls += 1
        return keys.door.scan(**options)
    assert scan(prefix=keys.prefix, limit=7) == wanted
    assert scan(prefix=keys.prefix, limit=7, reverse=True) == wanted[::-1]
    assert scan(prefix=keys.prefix + b"scan-1") == [pair for pair in wanted if b"scan-1" in pair[0]]
    start, end = keys.prefix + b"scan-3", keys.prefix + b"scan-5"
    assert scan(start=start, end=end, limit=3) == [pair for pair in wanted if start <= pair[0] < end]
    assert scan(prefix=keys.prefix + b"nothing") == []


def a_write_with_a_name_is_done_once(keys: Keys) -> None:
    first = expect(keys.once("increment", b"n", "one", by=5), "ok", b"5")
    again = expect(keys.once("increment", b"n", "one", by=5), "ok", b"5")
    assert again.version == first.version, (first, again)
    expect(keys.get(b"n"), "ok", b"5", version=first.version)
    expect(keys.once("increment", b"n", "two", by=5), "ok", b"10")
    expect(keys.once("increment", b"n", "one", by=6), "reused")
    expect(keys.increment(b"n", 5), "ok", b"15")
    expect(keys.once("increment", b"n", "one", by=5), "ok", b"5")
    expect(keys.get(b"n"), "ok", b"15")
    expect(keys.once("put", b"k", "three", value=b"1"), "ok", created=True)
    expect(keys.put(b"k", b"2"), "ok")
    expect(keys.once("put", b"k", "three", value=b"1"), "ok", created=True)
    expect(keys.get(b"k"), "ok", b"2")


def a_write_that_was_not_done_stays_so_by_its_name(keys: Keys) -> None:
    there = expect(keys.put(b"k", b"1"), "ok").version
    for _ in range(2):
        expect(keys.once("put", b"k", "one", value=b"2", condition="missing"), "condition_failed", version=there)
        expect(keys.delete(b"k"), "ok" if _ == 0 else "not_found")
        expect(keys.get(b"k"), "not_found")
    expect(keys.once("delete", b"k", "two"), "not_found")
    expect(keys.put(b"k", b"3"), "ok")
    expect(keys.once("delete", b"k", "two"), "not_found")
    expect(keys.get(b"k"), "ok", b"3")


def a_batch_with_a_name_is_done_once(keys: Keys) -> None:
    name = keys.prefix.decode()
    add = {"op": "increment", "key": b"n", "by": 1}
    for _ in range(2):
        done = keys.batch(add, {"op": "put", "key": b"k", "value": b"1"}, once=name + "one")
        expect(done[0], "ok", b"1")
        expect(done[1], "ok", created=True)
    expect(keys.tagged(b"n"), "ok", b"1")
    for answer in keys.batch(add, once=name + "one"):
        expect(answer, "reused")
    for answer in keys.batch(add, {"op": "get", "key": b"n"}, once=name + "two"):
        expect(answer, "bad_request")
    names = [b"each-%d" % i for i in range(20)]
    for _ in range(2):
        for answer in keys.batch(*({"op": "increment", "key": one, "by": 1} for one in names), atomic=False,
                                 once=name + "three"):
            expect(answer, "ok", b"1")


def a_session_sees_what_it_wrote_at_any_copy(keys: Keys) -> None:
    for i in range(8):
        value = b"%d" % i
        expect(keys._one("put", b"k", value=value, session=True), "ok")
        expect(keys._one("get", b"k", session=True, replica=True), "ok", value)
    expect(keys._one("delete", b"k", session=True), "ok")
    expect(keys._one("get", b"k", session=True, replica=True), "not_found")


def a_reserved_key_is_refused(keys: Keys) -> None:
    keys.prefix = b"\xff\xffdkv\xff"
    for answer in (keys.put(b"k", b"v"), keys.get(b"k"), keys.delete(b"k"), keys.increment(b"k")):
        expect(answer, "bad_request")
    keys.prefix = b"\xff\xffdkv"
    expect(keys.put(b"", b"v"), "ok")
    expect(keys.delete(b""), "ok")


CASES: List[Callable[[Keys], None]] = [
    a_value_comes_back, an_empty_value_is_one, any_bytes_are_a_value, any_bytes_but_nul_are_a_key,
    nul_is_a_byte_of_a_key, a_key_has_1_to_480_bytes, a_condition_is_a_version,
    a_condition_is_that_there_is_a_record_or_none, a_counter_counts, what_is_no_number_stays,
    a_record_lives_as_long_as_it_was_given, a_record_whose_time_is_over_is_gone,
    an_atomic_batch_is_done_as_a_whole, an_atomic_batch_that_fails_leaves_nothing, an_atomic_batch_is_of_one_slot,
    a_batch_is_of_any_keys, a_scan_is_in_order, a_write_with_a_name_is_done_once,
    a_write_that_was_not_done_stays_so_by_its_name, a_batch_with_a_name_is_done_once,
    a_session_sees_what_it_wrote_at_any_copy, a_reserved_key_is_refused]


def run(case: Callable[[Keys], None], door: Door) -> str:
    keys = Keys(door)
    try:
        case(keys)
    except Unfit:
        return "-"
    except Exception:  # of any kind: one door's failure hides no other's
        print(f"{case.__name__} through {door.name}:", file=sys.stderr)
        traceback.print_exc()
        return "FAILED"
    return str(keys.calls)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--http", required=True, metavar="HOST:PORT", help="a node's HTTP endpoint")
    parser.add_argument("--rpc", required=True, metavar="HOST:PORT", help="a node's rpc endpoint")
    parser.add_argument("--programs", required=True, metavar="FOLDER", help="where distrikv and conformance_driver are")
    arguments = parser.parse_args()
    doors = [Http(arguments.http), Rpc(arguments.rpc),
             Cpp(arguments.rpc, os.path.join(arguments.programs, "conformance_driver")), Python(arguments.rpc),
             CommandLine(arguments.rpc, os.path.join(arguments.programs, "distrikv"))]
    failed = 0
    print(f"{'case':46}" + "".join(f"{door.name:>8}" for door in doors))
    for case in CASES:
        outcomes = [run(case, door) for door in doors]
        failed += outcomes.count("FAILED")
        print(f"{case.__name__.replace('_', ' '):46}" + "".join(f"{outcome:>8}" for outcome in outcomes), flush=True)
    for door in doors:
        door.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
