"""The client: routes each key to its owner, follows MOVED, keeps deadlines."""

import dataclasses
import heapq
import itertools
import os
import random
import time
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

import xxhash
import zmq

from . import protocol
from .errors import (ABORTED, MOVED, NOT_FOUND, OK, Corrupt, DiskFull, DistriKVError, InternalError, IoError,
                     Overloaded, Unavailable, UnknownOutcome, Version, error_of)
from .protocol import Condition, Item, Malformed, Operation, Page, Refusal, Result, Scan, Topology, TopologyReply
from .session import Session
from .slots import slot_of
from .watch import WatchEvent, watch

Bytes = Union[bytes, bytearray, memoryview, str]

_TOO_LARGE, _OVERLOADED, _UNAVAILABLE, _UNKNOWN_OUTCOME = 4, 6, Unavailable.code, UnknownOutcome.code
_NOTHING_WAS_DONE = (MOVED, _OVERLOADED, _UNAVAILABLE)
_FAILURES = (DiskFull.code, IoError.code, Corrupt.code, InternalError.code)
_ONCE_WINDOW = 540.0
_MOST_OPEN = 1000  # of submit()
# How long an answer may take before it is worth asking whether the shard has another primary, and between asking.
_PATIENCE = 0.2
# Asked for the topology at once; and how long one that knows nothing newer waits for the others' answers.
_ASKED_AT_ONCE = 5
_SECOND_OPINION = 0.05
# A connection that is not there by then may come to be while something better is tried.
_CONNECT_TIME = 0.25
# A key that moves more often than this in one call is going round in circles: pauses begin.
_MOVES_AT_ONCE = 3
# Between the tries to get a page of a scan.
_SCAN_PAUSE = 0.025
# At most what an operation takes in a request beside its key and value: a put with a condition and a time to live, 42 bytes.
_OPERATION_OVERHEAD = 48


def _bytes_of(what: str, given: Bytes) -> bytes:
    """Of these types only: bytes(5) would be five NUL bytes, and bytes([1, 2]) two that nobody meant."""
    if isinstance(given, str):
        return given.encode("utf-8")
    if isinstance(given, (bytes, bytearray, memoryview)):
        return bytes(given)
    raise TypeError(f"the {what} must be bytes or str, not {type(given).__name__}")


def _ack_mode(name: str) -> int:
    if name not in ("committed", "local"):
        raise ValueError(f'ack is "committed" or "local", not {name!r}')
    return protocol.LOCAL if name == "local" else protocol.COMMITTED


def _is_uint64(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 2**64


def if_version(version: Version) -> Condition:
    """The key's record must still be this one: get_record() and put() tell a record's version."""
    if not isinstance(version, (tuple, list)) or len(version) != 2 or not all(map(_is_uint64, version)):
        raise TypeError(f"a version is a pair of unsigned integers, (epoch, seq), not {version!r}")
    return Condition(protocol.IF_VERSION, (version[0], version[1]))


def if_exists() -> Condition:
    """The key must have a record, of any version."""
    return Condition(protocol.IF_EXISTS)


def if_missing() -> Condition:
    """The key must have no record. Of a put only."""
    return Condition(protocol.IF_MISSING)


def _checked(condition: Optional[Condition]) -> Optional[Condition]:
    if condition is None or isinstance(condition, Condition):
        return condition
    raise TypeError(f"the condition must be if_version(…), if_exists() or if_missing(), not {condition!r}")


class Record(NamedTuple):
    """What a key holds. `version` is what if_version() takes; `ttl_ms` is what is left of its time to live, None: it
    lives for ever."""

    value: bytes
    version: Version
    ttl_ms: Optional[int] = None


def get(key: Bytes) -> Operation:
    """For Client.execute."""
    return Operation(protocol.GET, _bytes_of("key", key))


def put(key: Bytes, value: Bytes, report_created: bool = False, *, condition: Optional[Condition] = None,
        ttl: Optional[float] = None, keep_ttl: bool = False) -> Operation:
    """For Client.execute. With `report_created` its result's `created` says whether the key was missing."""
    if keep_ttl and ttl is not None:
        raise ValueError("ttl and keep_ttl say two different things: give one")
    return Operation(protocol.PUT, _bytes_of("key", key), _bytes_of("value", value), report_created,
                     _checked(condition), ttl_ms=_ttl_ms(ttl), keep_ttl=keep_ttl)


def touch(key: Bytes, ttl: Optional[float]) -> Operation:
    """For Client.execute."""
    return Operation(protocol.TOUCH, _bytes_of("key", key), ttl_ms=_ttl_ms(ttl))


def _ttl_ms(seconds: Optional[float]) -> Optional[int]:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"a time to live is a number of seconds, not {type(seconds).__name__}")
    if not 0.001 <= seconds <= protocol.MAX_TTL_MS / 1000:
        raise ValueError("a time to live is from a millisecond to 100 years")
    return round(seconds * 1000)


def delete(key: Bytes, *, condition: Optional[Condition] = None) -> Operation:
    """For Client.execute."""
    return Operation(protocol.REMOVE, _bytes_of("key", key), condition=_checked(condition))


def increment(key: Bytes, amount: int = 1) -> Operation:
    """For Client.execute. The sum is its result's `value`, in decimal."""
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise TypeError(f"the amount must be an int, not {type(amount).__name__}")
    return Operation(protocol.INCREMENT, _bytes_of("key", key), amount=amount)


def _once_id(name: str) -> Tuple[int, int]:
    """The client id and number that stand for an idempotency key, as HTTP's Idempotency-Key has them."""
    data = _bytes_of("idempotency key", name)
    if not 0 < len(data) <= protocol.MAX_IDEMPOTENCY_KEY_BYTES:
        raise ValueError("an idempotency key has 1 to 255 bytes")
    number = xxhash.xxh3_128_intdigest(data)
    return (number >> 64) | 1, ((number & (2**64 - 1)) >> 1) + 1


class _Flight:
    """One request frame on its way. `writes`: it must not be sent twice."""

    __slots__ = ("endpoint", "places", "codes", "writes", "sent", "expires")

    def __init__(self, endpoint: str, places: List[int], codes: List[int], expires: float, once: bool) -> None:
        self.endpoint = endpoint
        self.places = places
        self.codes = codes
        self.writes = not once and any(code != protocol.GET for code in codes)
        self.sent = time.monotonic()
        self.expires = expires


class Client:
    """A client of one cluster. Not thread-safe: make one per thread.

    `nodes` are rpc endpoints ("host:port") of which one that lives is enough; by default those in the
    environment variable DISTRIKV_NODES, separated by commas. Every call ends within `timeout` seconds.

    Keys and values are bytes; a str is taken as its UTF-8, any other type is a TypeError. Errors are exceptions
    (errors.py), with two answers that are none: get() of a missing key is None, delete() of one is False.

    A write with a `condition` is done if that holds when the write's turn comes, in one step with it; otherwise it
    is ConditionFailed, and nothing was done.

    A write that was sent and not answered in time raises UnknownOutcome. It is never sent twice; but with
    `exactly_once` every write has a name of its own, by which it is done once however often it is sent: then one that
    is not answered is sent again until the timeout. `once` gives a call a name of yours (1 to 255 bytes), for who may
    have to repeat it in another process: for ten minutes the first outcome is the answer.

    A `session` (Session) makes reads of replicas show what its calls have written and seen.

    `ack` says when a write's answer may come: "committed", once it is on the disk of the primary and of every replica
    in sync, or "local", once it is on the primary's own, where a failover may lose it.
    """

    def __init__(self, nodes: Optional[Iterable[str]] = None, timeout: float = 5.0, *, ack: str = "committed",
                 exactly_once: bool = False) -> None:
        if nodes is None:
            nodes = os.environ.get("DISTRIKV_NODES", "127.0.0.2:7001").split(",")
        self._seeds = [node.strip() for node in nodes if node.strip()]
        if not self._seeds:
            raise ValueError("name at least one node, as HOST:PORT")
        self._timeout = timeout
        self._ack = _ack_mode(ack)
        self._once_id = random.SystemRandom().getrandbits(64) | 1 if exactly_once else 0
        self._last_number = 0
        self._try_time = min(max(timeout / 4, 0.02), 1.0)
        self._context = zmq.Context()
        self._sockets: Dict[str, zmq.Socket] = {}
        self._poller = zmq.Poller()
        self._topology: Optional[Topology] = None
        self._early: List[Tuple[str, bytes]] = []  # came while something else was waited for
        self._open: Dict[int, "_Call"] = {}  # that nobody has waited for to their end, in their order
        self._callers: Dict[int, "_Call"] = {}  # by the requests that are on their way
        self._last_id = 0

    def close(self) -> None:
        """Closes every connection. The client cannot be used afterwards."""
        for socket in self._sockets.values():
            socket.close(linger=0)
        self._sockets.clear()
        self._context.term()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- what it can do ----

    def get(self, key: Bytes, from_replica: bool = False, *, session: Optional[Session] = None) -> Optional[bytes]:
        """The value, or None for a missing key.

        With `from_replica` any copy may answer: a state that was committed, but perhaps not the newest.
        """
        record = self.get_record(key, from_replica, session=session)
        return None if record is None else record.value

    def get_record(self, key: Bytes, from_replica: bool = False, *,
                   session: Optional[Session] = None) -> Optional[Record]:
        """As get(), and which version of the value that is."""
        result = self.execute([get(key)], from_replica, session=session)[0]
        if result.code == NOT_FOUND:
            return None
        return Record(result.value, _version_of(result), result.ttl_ms)

    def put(self, key: Bytes, value: Bytes, *, condition: Optional[Condition] = None,
            ttl: Optional[float] = None, keep_ttl: bool = False, once: Optional[str] = None,
            session: Optional[Session] = None) -> Version:
        """Stores the value durably; returns the record's version, (epoch, seq).

        After `ttl` seconds it is removed; without, it stays for ever, or, with `keep_ttl`, as long as the record
        that it replaces would have.
        """
        operation = put(key, value, condition=condition, ttl=ttl, keep_ttl=keep_ttl)
        return _version_of(self.execute([operation], once=once, session=session)[0])

    def touch(self, key: Bytes, ttl: Optional[float], *, once: Optional[str] = None,
              session: Optional[Session] = None) -> bool:
        """Gives the record another time to live, in seconds from now; None: for ever. False when there is none."""
        result = self.execute([touch(key, ttl)], once=once, session=session)[0]
        if result.code == NOT_FOUND:
            return False
        _raise_unless_ok(result)
        return True

    def delete(self, key: Bytes, *, condition: Optional[Condition] = None, once: Optional[str] = None,
               session: Optional[Session] = None) -> bool:
        """Removes the key; False when there was none. With a condition a missing key is ConditionFailed."""
        result = self.execute([delete(key, condition=condition)], once=once, session=session)[0]
        if result.code == NOT_FOUND:
            return False
        _raise_unless_ok(result)
        return True

    def increment(self, key: Bytes, amount: int = 1, *, once: Optional[str] = None,
                  session: Optional[Session] = None) -> int:
        """Adds to the number that the key holds, in one step; returns the sum.

        The number is a signed 64-bit integer, kept as decimal text (so get() says b"42"); a missing key counts
        as 0. Raises NotACounter when the key holds anything else, or the sum would not fit. After
        UnknownOutcome it may have been added, or may yet: who repeats it without `once` may count twice.
        """
        result = self.execute([increment(key, amount)], once=once, session=session)[0]
        _raise_unless_ok(result)
        try:
            return int(result.value)
        except ValueError:
            raise UnknownOutcome(f"the node answered an increment with {result.value!r}") from None

    def execute(self, operations: Sequence[Operation], from_replica: bool = False, *, ack: Optional[str] = None,
                once: Optional[str] = None, session: Optional[Session] = None) -> List[Result]:
        """Many operations on any keys at once; one Result each, in their order. Raises nothing of theirs.

        With `once` each write has a name of its own, by its place: who repeats them keeps their order.
        """
        deadline = time.monotonic() + self._timeout
        return _Call(self, operations, from_replica, deadline, ack=ack, once=once, session=session).run()

    def submit(self, operations: Sequence[Operation], from_replica: bool = False, *, ack: Optional[str] = None,
               once: Optional[str] = None, session: Optional[Session] = None) -> "Pending":
        """execute() without waiting: the operations are sent, and Pending.result() waits for what became of them.

        Any number may be on their way; past 1,000 the oldest is waited for. Answers are taken in, and what must be sent
        again is, whenever this client is used; the timeout runs from now.
        """
        while len(self._open) >= _MOST_OPEN:
            next(iter(self._open.values())).finish()
        deadline = time.monotonic() + self._timeout
        call = _Call(self, list(operations), from_replica, deadline, ack=ack, once=once, session=session)
        call.start()
        return Pending(call)

    def execute_atomically(self, operations: Sequence[Operation], *, ack: Optional[str] = None,
                           once: Optional[str] = None, session: Optional[Session] = None) -> List[Result]:
        """Many operations as one step: all of them are done, or none.

        Each sees what those before it did, and nothing of others comes in between. All keys share a slot: give
        them one {hash tag}. At most 4,096 operations and 17 MiB. Returns one Result each; a missing key is an
        answer, of a get and of a delete without a condition. When one cannot be done, its error is raised (whose
        `operation` says which it was), and nothing was done; after UnknownOutcome all of it may have been done, or none, or may yet be.
        What is to be done `once` holds no gets.
        """
        deadline = time.monotonic() + self._timeout
        results = _Call(self, operations, False, deadline, atomic=True, ack=ack, once=once, session=session).run()
        failed = [place for place, result in enumerate(results) if result.code not in (OK, NOT_FOUND)]
        if failed:
            in_the_way = next((place for place in failed if results[place].code != ABORTED), failed[0])
            which = f"operation {in_the_way}: " if any(result.code == ABORTED for result in results) else ""
            result = results[in_the_way]
            error = error_of(result.code, which + result.message, result.version)
            error.operation = in_the_way if which else None
            raise error
        return results

    def scan(self, prefix: Bytes = b"", *, start: Bytes = b"", end: Bytes = b"", reverse: bool = False,
             keys_only: bool = False, from_replica: bool = False, limit: Optional[int] = None,
             session: Optional[Session] = None) -> Iterator[Item]:
        """The records whose keys begin with `prefix`, from `start` to before `end` (empty: no end), in the order of
        their keys; `reverse` begins with the last. At most `limit` of them.

        They are fetched in pages of one shard while they are taken; each page is of one moment and must come within
        the client's timeout. Keys that are there throughout are neither skipped nor repeated.
        """
        low, high = _range(_bytes_of("prefix", prefix), _bytes_of("start", start), _bytes_of("end", end))
        if limit is not None and limit < 0:
            raise ValueError("the limit must not be negative")
        if limit == 0 or (high and low >= high):
            return iter(())
        page = protocol.MAX_SCAN_ITEMS if limit is None else min(limit, protocol.MAX_SCAN_ITEMS)
        first, last = (high, low) if reverse else (low, high)
        records = [self._scan_shard(Scan(shard, first, last, reverse, keys_only, page), from_replica, session)
                   for shard in self.topology().shards]
        merged = heapq.merge(*records, key=lambda item: item.key, reverse=reverse)
        return itertools.islice(merged, limit)

    def watch(self, prefix: Bytes = b"", *, after: str = "", keys_only: bool = False) -> Iterator[WatchEvent]:
        """What happens to keys that begin with `prefix`, as it happens, without an end: the changes of each shard in their
        order, none left out (or a "gap" says so) and none twice, whatever happens to nodes. From now on, or `after` the
        place of an earlier event.

        It is over HTTP and on a connection of its own, so the client may be used meanwhile.
        """
        nodes = [node.http for node in self.topology().nodes.values()]
        return watch(nodes, _bytes_of("prefix", prefix), after, keys_only)

    def topology(self) -> Topology:
        """The newest topology that this client knows; asked for when it has none."""
        if self._topology is None:
            self._fetch_topology(time.monotonic() + self._timeout)
        assert self._topology is not None
        return self._topology

    def status(self, endpoint: str) -> Dict[str, object]:
        """What a node says of itself."""
        deadline = time.monotonic() + self._timeout
        body = self._ask(endpoint, protocol.TYPE_STATUS, deadline)
        if not isinstance(body, dict):
            raise Unavailable(f"no answer from {endpoint}")
        return body

    # ---- connections ----

    def _socket(self, endpoint: str) -> zmq.Socket:
        socket = self._sockets.get(endpoint)
        if socket is not None:
            return socket
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDHWM, 0)  # so that nothing but the lack of a connection keeps it from sending
        socket.setsockopt(zmq.MAXMSGSIZE, protocol.MAX_MESSAGE_BYTES)
        socket.setsockopt(zmq.HANDSHAKE_IVL, 3000)
        socket.setsockopt(zmq.HEARTBEAT_IVL, 1000)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3000)
        try:
            socket.connect(f"tcp://{endpoint}")
        except zmq.ZMQError as error:
            socket.close()
            raise Unavailable(f"cannot connect to {endpoint!r}: {error} (an endpoint is HOST:PORT)") from error
        self._sockets[endpoint] = socket
        self._poller.register(socket, zmq.POLLIN)
        return socket

    def _send(self, endpoint: str, data: bytes, until: float) -> bool:
        """Whether the message was handed to a connection; if not, it never will be."""
        socket = self._socket(endpoint)
        while True:
            try:
                socket.send(data, zmq.DONTWAIT)
                return True
            except zmq.Again:
                left = until - time.monotonic()
                if left <= 0 or not socket.poll(max(1, int(left * 1000)), zmq.POLLOUT):
                    return False

    def _receive(self, until: float) -> List[Tuple[str, bytes]]:
        """What has arrived, or arrives until then: (endpoint, message)."""
        messages, self._early = self._early, []
        wait = 0 if messages else max(0, int((until - time.monotonic()) * 1000) + 1)
        ready = dict(self._poller.poll(wait))
        for endpoint, socket in self._sockets.items():
            if not ready.get(socket, 0) & zmq.POLLIN:
                continue
            try:
                while True:
                    parts = socket.recv_multipart(zmq.DONTWAIT)
                    if len(parts) == 1:
                        messages.append((endpoint, parts[0]))
            except zmq.Again:
                pass
        return messages

    def _take_in(self, messages: List[Tuple[str, bytes]]) -> None:
        """Gives each answer to whoever waits for it. What answers nothing is late, or garbage."""
        for endpoint, data in messages:
            try:
                request_id = protocol.peek_request_id(data)
                call = self._callers.get(request_id)
                if call is not None:
                    call.take_answer(request_id, endpoint, data)
            except Malformed:
                continue

    def _is_connected(self, endpoint: str) -> bool:
        """Without a connection, no answer to what was sent can come any more."""
        return bool(self._socket(endpoint).getsockopt(zmq.EVENTS) & zmq.POLLOUT)

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    # ---- scans ----

    def _numbers(self, count: int) -> Tuple[int, int]:
        """This client's id, and the first of so many numbers that it has not used."""
        first = self._last_number + 1
        self._last_number += count
        return self._once_id, first

    def _scan_shard(self, scan: Scan, from_replica: bool, session: Optional[Session]) -> Iterator[Item]:
        while True:
            page = self._page(scan, from_replica, session)
            yield from page.items
            if not page.next:
                return
            goes_on = (not scan.start or page.next < scan.start) if scan.down else page.next > scan.start
            if not goes_on:
                raise InternalError("the next page of a scan does not lie behind this one")
            scan = dataclasses.replace(scan, start=page.next)

    def _page(self, scan: Scan, from_replica: bool, session: Optional[Session]) -> Page:
        """From whoever can give it within the timeout."""
        deadline = time.monotonic() + self._timeout
        read = protocol.REPLICA if from_replica else protocol.LINEARIZABLE
        told: Optional[str] = None  # where to, by a replica that has not come to what the session has seen
        while True:
            endpoint = told or self._member(scan.shard, from_replica)
            told = None
            problem: DistriKVError = Unavailable(f"no answer from {endpoint}")
            try:
                page = self._ask(endpoint, protocol.TYPE_SCAN, min(deadline, time.monotonic() + self._try_time),
                                 read, scan, session)
                if isinstance(page, Page):
                    if page.moved is None:
                        return page
                    if from_replica:
                        told = page.moved.rpc
                    problem = Unavailable("the shard kept being moved")
                elif page is not None:
                    raise InternalError(f"{endpoint}: not what was asked")
            except (Unavailable, Overloaded) as error:
                problem = error
            if time.monotonic() + _SCAN_PAUSE >= deadline:
                raise problem
            time.sleep(_SCAN_PAUSE)
            self._fetch_topology(deadline)

    def _member(self, shard: int, from_replica: bool) -> str:
        """Where to read of a shard."""
        topology = self.topology()
        owner = topology.shards[shard]
        member = random.choice([owner.primary, *owner.replicas]) if from_replica else owner.primary
        return topology.nodes[member].rpc

    # ---- topology ----

    def _ask(self, endpoint: str, type_: int, until: float, read: int = protocol.LINEARIZABLE,
             scan: Optional[Scan] = None, session: Optional[Session] = None) -> object:
        """The body of the answer to a request without operations, None without one. Raises on a refusal."""
        request_id = self._next_id()
        request = protocol.encode_request(type_, request_id, read=read, scan=scan, session=session)
        if not self._send(endpoint, request, until):
            return None
        answer: object = None
        others: List[Tuple[str, bytes]] = []
        while answer is None and time.monotonic() < until:
            for sender, data in self._receive(until):
                try:
                    if sender != endpoint or protocol.peek_request_id(data) != request_id:
                        others.append((sender, data))
                    else:
                        reply = protocol.decode_reply(data, [])
                        answer = reply.body
                        if session is not None:
                            session.take(reply.session)
                except Malformed:
                    pass
        self._early += others
        if isinstance(answer, Refusal):
            raise error_of(answer.code, answer.message)
        return answer

    def _fetch_topology(self, deadline: float) -> None:
        """Asks a few nodes at a time until one answers; raises Unavailable when none does."""
        while True:
            known = [] if self._topology is None else [node.rpc for node in self._topology.nodes.values()]
            nodes = sorted({*self._seeds, *known})
            until = min(deadline, time.monotonic() + self._try_time)
            problem = self._ask_for_topology(random.sample(nodes, min(len(nodes), _ASKED_AT_ONCE)), until)
            if problem is None:
                return
            if time.monotonic() >= deadline:
                raise Unavailable(f"no node told us the topology: {problem}")
            time.sleep(min(0.05, max(0.0, deadline - time.monotonic())))

    def _ask_for_topology(self, endpoints: List[str], until: float) -> Optional[str]:
        """Asks all of these at once and takes the newest answer; what went wrong when there was none."""
        problem: Optional[str] = f"none of {', '.join(endpoints)} answered"
        before = -1 if self._topology is None else self._topology.version
        waiting: List[zmq.Socket] = []
        for endpoint in endpoints:
            try:
                waiting.append(self._socket(endpoint))
            except Unavailable as error:
                problem = str(error)
        request_id = self._next_id()  # of all of them: each is an answer
        request = protocol.encode_request(protocol.TYPE_TOPOLOGY, request_id)
        others: List[Tuple[str, bytes]] = []
        heard = 0
        while heard < len(endpoints) and time.monotonic() < until:
            waiting = [socket for socket in waiting if not _try_to_send(socket, request)]
            # Those that are not connected yet are tried again in a moment.
            for sender, data in self._receive(min(until, time.monotonic() + 0.01) if waiting else until):
                try:
                    if protocol.peek_request_id(data) != request_id:
                        others.append((sender, data))
                        continue
                    body = protocol.decode_reply(data, []).body
                    if isinstance(body, TopologyReply):
                        self._adopt(protocol.decode_topology(body.encoded))
                        until = until if heard else min(until, time.monotonic() + _SECOND_OPINION)
                        heard, problem = heard + 1, None
                    elif isinstance(body, Refusal) and not heard:
                        problem = f"{sender}: {body.message}"
                except Malformed:
                    pass
                except DistriKVError as error:
                    problem = problem and str(error)
            if heard and self._topology is not None and self._topology.version > before:
                break
        self._early += others
        return problem

    def _adopt(self, topology: Topology) -> None:
        ours = self._topology
        if ours is not None and topology.id != ours.id:
            raise Unavailable("the nodes named belong to different clusters")
        if ours is None or topology.version > ours.version:
            self._topology = topology


def _try_to_send(socket: zmq.Socket, data: bytes) -> bool:
    """False while there is no connection."""
    try:
        socket.send(data, zmq.DONTWAIT)
        return True
    except zmq.Again:
        return False


class _Call:
    """One execute(): its operations, what is on its way, and what is still to be sent.

    An atomic one is always on its way as a whole, and has one outcome.
    """

    def __init__(self, client: Client, operations: Sequence[Operation], from_replica: bool, deadline: float,
                 atomic: bool = False, ack: Optional[str] = None, once: Optional[str] = None,
                 session: Optional[Session] = None) -> None:
        self.client = client
        self.session = session
        # By these its writes are done once: the client's id, and the number of the first.
        self.once: Optional[Tuple[int, int]] = None
        if once is not None:
            self.once = _once_id(once)
        elif client._once_id and any(one.code != protocol.GET for one in operations) and not (
                atomic and any(one.code == protocol.GET for one in operations)):
            self.once = client._numbers(len(operations))
        self.unanswered: Set[int] = set()  # places of writes that have been sent, and may have been done
        self.ack = client._ack if ack is None else _ack_mode(ack)
        self.operations = operations
        self.from_replica = from_replica
        # An outcome is kept for ten minutes from when a shard came to it: so long a write may be sent again.
        self.deadline = min(deadline, time.monotonic() + _ONCE_WINDOW) if self.once else deadline
        self.atomic = atomic
        self.results: List[Optional[Result]] = [None] * len(operations)
        self.last: Dict[int, Result] = {}  # why an unfinished operation's last try failed
        self.flights: Dict[int, _Flight] = {}
        self.to_send: List[Tuple[int, Optional[str]]] = []  # place, and where when a node told us
        self.not_before = 0.0
        self.pause = 0.005
        self.moves = 0
        self.refresh = False
        self.asked_at = 0.0  # the topology, in doubt

    def run(self) -> List[Result]:
        self.start()
        return self.finish()

    def start(self) -> None:
        self.results = _refused_batch(self.operations, self.once is not None) if self.atomic else list(
            map(_illegal, self.operations))
        self.to_send = [(place, None) for place, result in enumerate(self.results) if result is None]
        self.client._open[id(self)] = self
        if self.to_send:
            self._send_all()

    @property
    def is_done(self) -> bool:
        return not self.flights and not self.to_send

    def finish(self) -> List[Result]:
        """Waits for every operation's result, until the deadline. May be called again."""
        while not self.is_done:
            now = time.monotonic()
            if now >= self.deadline:
                break
            if self.to_send and now >= self.not_before:
                self._send_all()
            self._receive()
            self._expire()
            self._doubt()
        self._give_up()
        self.client._open.pop(id(self), None)
        return [result for result in self.results if result is not None]

    def _fly(self, request_id: int, flight: _Flight) -> None:
        self.flights[request_id] = flight
        self.client._callers[request_id] = self

    def _land(self, request_id: int) -> None:
        del self.flights[request_id]
        self.client._callers.pop(request_id, None)

    # ---- sending ----

    def _send_all(self) -> None:
        try:
            if self.client._topology is None or self.refresh:
                self.client._fetch_topology(self.deadline)
                self.refresh = False
        except DistriKVError as error:
            for place, _ in self.to_send:
                self.last[place] = Result(_UNAVAILABLE, message=str(error))
            self._back_off()
            return
        groups: Dict[Tuple[str, int], List[int]] = {}
        for place, told in self.to_send:
            groups.setdefault(self._target(self.operations[place], told), []).append(place)
        self.to_send = []
        for (endpoint, _), places in groups.items():
            for share in self._cut(places):
                self._send(endpoint, share)

    def _target(self, operation: Operation, told: Optional[str]) -> Tuple[str, int]:
        """Where to, and for which shard: a request holds operations of one shard."""
        topology = self.client.topology()
        shard = topology.owners[slot_of(operation.key)]
        if told is not None:
            return told, shard
        return self.client._member(shard, self.from_replica and operation.code == protocol.GET), shard

    def _cut(self, places: List[int]) -> Iterable[List[int]]:
        """As many as the limits of a request need."""
        if self.atomic:
            yield places
            return
        share: List[int] = []
        size = 64
        for place in places:
            operation = self.operations[place]
            more = len(operation.key) + len(operation.value) + _OPERATION_OVERHEAD
            if share and (len(share) == protocol.MAX_OPERATIONS or size + more > protocol.MAX_REQUEST_BYTES):
                yield share
                share, size = [], 64
            share.append(place)
            size += more
        yield share

    def _send(self, endpoint: str, places: List[int]) -> None:
        operations = [self.operations[place] for place in places]
        request_id = self.client._next_id()
        read = protocol.REPLICA if self.from_replica else protocol.LINEARIZABLE
        client_id, first = self.once or (0, 0)
        numbers = [first + place for place in places] if first and not self.atomic else []
        data = protocol.encode_request(protocol.TYPE_OPERATIONS, request_id, operations, read, self.ack, client_id,
                                       first, atomic=self.atomic, numbers=numbers, session=self.session)
        try_ends = min(self.deadline, time.monotonic() + min(self.client._try_time, _CONNECT_TIME))
        problem = f"no connection to {endpoint}"
        try:
            sent = self.client._send(endpoint, data, try_ends)
        except Unavailable as error:
            sent, problem = False, str(error)
        if sent:
            expires = time.monotonic() + self.client._try_time
            codes = [one.code for one in operations]
            self._fly(request_id, _Flight(endpoint, places, codes, expires, self.once is not None))
            return
        for place in places:
            self._again(place, Result(_UNAVAILABLE, message=problem), None)
        self.refresh = True
        self._back_off()

    # ---- receiving ----

    def _receive(self) -> None:
        until = min([self.deadline, self._doubt_at()] +
                    [flight.expires for flight in self.flights.values() if not flight.writes])
        if self.to_send:
            until = min(until, self.not_before)
        self.client._take_in(self.client._receive(until))

    def take_answer(self, request_id: int, endpoint: str, data: bytes) -> None:
        """Raises Malformed."""
        flight = self.flights[request_id]
        if flight.endpoint != endpoint:
            return
        reply = protocol.decode_reply(data, flight.codes)
        body = reply.body
        self._land(request_id)
        if self.session is not None:
            self.session.take(reply.session)
        if isinstance(body, list):
            self._take(flight, body)
        else:
            code, text = (body.code, body.message) if isinstance(body, Refusal) else (13, "not what was asked")
            self._take(flight, [Result(code, message=f"{endpoint}: {text}")] * len(flight.places))

    def _take(self, flight: _Flight, results: List[Result]) -> None:
        if self.once is not None:
            if any(result.code == _UNKNOWN_OUTCOME for result in results):
                self.unanswered.update(self._writes_of(flight))
        is_open = self.once is not None and any(result.code == _UNKNOWN_OUTCOME for result in results)
        # A failure of this try says nothing of those before.
        results = [self._unknown(result.message) if result.code in _FAILURES and place in self.unanswered else result
                   for place, result in zip(flight.places, results)]
        if self.atomic and any(result.code not in _NOTHING_WAS_DONE for result in results) and not is_open:
            for place, result in zip(flight.places, results):
                self.results[place] = result
            return
        refused = moved = False
        # Too many values for one reply: some gets were answered, the others would be, asked for alone.
        overflow = any(result.value for result in results)
        for place, result, code in zip(flight.places, results, flight.codes):
            if overflow and result.code == _TOO_LARGE and code == protocol.GET:
                self._again(place, result, None)
                continue
            # A read that was given up together with a write, when its primary stepped down, or one that may come again.
            open_read = result.code == _UNKNOWN_OUTCOME and (code == protocol.GET or is_open)
            if result.code not in _NOTHING_WAS_DONE and not open_read:
                self.results[place] = result
                continue
            told = None
            if result.moved is not None:
                told = self._follow(result.moved)
            if told is not None:
                moved = True
            else:
                refused = True
            if result.code == _UNAVAILABLE:
                self.refresh = True
            self._again(place, result, told)
        self.moves += moved
        if refused or self.moves > _MOVES_AT_ONCE:
            self._back_off()

    def _follow(self, moved: protocol.Moved) -> Optional[str]:
        """Where to send what moved; None when our own topology is newer."""
        version = self.client.topology().version
        if moved.topology_version < version:
            return None
        if moved.topology_version > version:
            self.refresh = True
        return moved.rpc

    # ---- time ----

    def _again(self, place: int, why: Result, told: Optional[str]) -> None:
        self.last[place] = why
        self.to_send.append((place, told))

    def _back_off(self) -> None:
        self.not_before = time.monotonic() + self.pause * random.uniform(0.5, 1.0)
        self.pause = min(self.pause * 2, 0.5)

    def _expire(self) -> None:
        """A frame of reads alone may be asked again; one with a write only waits."""
        now = time.monotonic()
        for request_id, flight in list(self.flights.items()):
            if flight.writes or flight.expires > now:
                continue
            self._land(request_id)
            self.refresh = True
            self._ask_again(flight)

    def _ask_again(self, flight: _Flight) -> None:
        """It was not answered: what it holds may have been done, and may be sent again."""
        self.unanswered.update(self._writes_of(flight))
        for place in flight.places:
            self._again(place, Result(_UNAVAILABLE, message=f"no answer from {flight.endpoint}"), None)

    @staticmethod
    def _writes_of(flight: _Flight) -> List[int]:
        return [place for place, code in zip(flight.places, flight.codes) if code != protocol.GET]

    def _doubt_at(self) -> float:
        """When an answer has been so long in coming that the shard may have another primary."""
        oldest = min((flight.sent for flight in self.flights.values()), default=self.deadline)
        return max(oldest, self.asked_at) + _PATIENCE

    def _doubt(self) -> None:
        """Reads that wait at a node that is not the primary any more are asked again, there."""
        now = time.monotonic()
        if not self.flights or now < self._doubt_at():
            return
        try:
            self.client._fetch_topology(min(self.deadline, now + _PATIENCE))
        except DistriKVError:
            pass
        self.asked_at = time.monotonic()
        lost = {one.endpoint for one in self.flights.values() if not self.client._is_connected(one.endpoint)}
        self.client._take_in(self.client._receive(0.0))  # what came before that
        for request_id, flight in list(self.flights.items()):
            target = self._target(self.operations[flight.places[0]], None)[0]
            is_lost = flight.endpoint in lost and now >= flight.sent + _PATIENCE
            if flight.writes:
                if is_lost:
                    self._land(request_id)
                    self._finish_unanswered(flight, f"the connection to {flight.endpoint} was lost")
            elif is_lost or (target != flight.endpoint and not self.from_replica):
                self._land(request_id)
                self._ask_again(flight)

    def _finish_unanswered(self, flight: _Flight, why: str) -> None:
        for place, code in zip(flight.places, flight.codes):
            unknown = code != protocol.GET or (self.atomic and flight.writes)
            self.results[place] = self._unknown(why) if unknown else Result(_UNAVAILABLE, message=why)

    def _unknown(self, why: str) -> Result:
        decide = "read the key before deciding" if self.once is None else "it may be sent again by the same name"
        return Result(_UNKNOWN_OUTCOME, message=f"{why}: the write may have happened, or may yet; {decide}")

    def _give_up(self) -> None:
        """Gives every operation without a result the one that is true at the deadline."""
        for request_id, flight in list(self.flights.items()):
            self._land(request_id)
            self._finish_unanswered(flight, f"no answer from {flight.endpoint} in time")
        self.to_send = []
        for place, result in enumerate(self.results):
            if result is None:
                last = self.last.get(place, Result(_UNAVAILABLE, message="no time was left to send it"))
                message = last.message if last.moved is None else "the key kept being moved"
                code = _OVERLOADED if last.code == _OVERLOADED else _UNAVAILABLE
                maybe = place in self.unanswered
                self.results[place] = self._unknown(message) if maybe else Result(code, message=message)


class Pending:
    """Operations that were submitted: see Client.submit."""

    def __init__(self, call: _Call) -> None:
        self._call = call

    def done(self) -> bool:
        """Whether result() would not wait. Takes in what has arrived."""
        if not self._call.is_done:
            self._call.client._take_in(self._call.client._receive(0.0))
        return self._call.is_done

    def result(self) -> List[Result]:
        """One Result each, in their order, as execute() returns them. Waits until the timeout of their submission."""
        return self._call.finish()


def _range(prefix: bytes, start: bytes, end: bytes) -> Tuple[bytes, bytes]:
    """Keys from the first to before the second, which has no end where it is empty."""
    behind = prefix.rstrip(b"\xff")  # of all keys with the prefix, when its last byte is one more
    if behind:
        behind = behind[:-1] + bytes([behind[-1] + 1])
    return max(prefix, start), min((bound for bound in (behind, end) if bound), default=b"")


def _illegal(operation: Operation) -> Optional[Result]:
    if not operation.key:
        return Result(3, message="the key is empty: it must have 1 to 480 bytes")
    if len(operation.key) > protocol.MAX_KEY_BYTES:
        return Result(4, message=f"the key has {len(operation.key)} bytes: at most 480 are allowed")
    if operation.key.startswith(protocol.RESERVED_PREFIX):
        return Result(3, message="a key cannot begin with the bytes ff ff 64 6b 76 ff: they mark records that are no "
                      "user's")
    if len(operation.value) > protocol.MAX_VALUE_BYTES:
        return Result(4, message=f"the value has {len(operation.value)} bytes: at most 16 MiB are allowed")
    if operation.code == protocol.REMOVE and operation.condition == if_missing():
        return Result(3, message="a key that must be missing cannot be removed")
    if not protocol.MIN_AMOUNT <= operation.amount <= protocol.MAX_AMOUNT:
        return Result(3, message=f"the amount {operation.amount} does not fit into a signed 64-bit integer")
    return None


def _refused_batch(operations: Sequence[Operation], once: bool) -> List[Optional[Result]]:
    """Of an atomic one: what is wrong with it, or None for each."""
    problems = list(map(_illegal, operations))
    if any(problems):
        return [problem or Result(ABORTED, message="another operation is not possible") for problem in problems]
    problem = None
    size = 64 + sum(len(one.key) + len(one.value) + _OPERATION_OVERHEAD for one in operations)
    if len(operations) > protocol.MAX_OPERATIONS:
        problem = Result(3, message=f"an atomic batch has at most {protocol.MAX_OPERATIONS} operations")
    elif size > protocol.MAX_REQUEST_BYTES:
        problem = Result(4, message="the batch is too large: keys and values of at most 17 MiB together")
    elif once and any(one.code == protocol.GET for one in operations):
        problem = Result(3, message="a batch that is to be done once has no gets")
    elif len({slot_of(one.key) for one in operations}) > 1:
        problem = Result(3, message="the keys of an atomic batch must share a slot: give them one {hash tag}")
    return [problem] * len(operations)


def _raise_unless_ok(result: Result) -> None:
    if not result.ok:
        raise error_of(result.code, result.message, result.version)


def _version_of(result: Result) -> Version:
    _raise_unless_ok(result)
    assert result.version is not None
    return result.version
