"""The bytes of requests and replies, as messages/README.md specifies them. Pure functions."""

from dataclasses import dataclass, field
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Union

import msgpack

from .errors import CONDITION_FAILED, MOVED, OK, Version
from .session import Session
from .slots import SLOT_COUNT

VERSION = 1

TYPE_ERROR, TYPE_OPERATIONS, TYPE_TOPOLOGY, TYPE_STATUS, TYPE_CONTROL, TYPE_SCAN = 0, 1, 2, 3, 4, 5
GET, PUT, REMOVE, INCREMENT, TOUCH = 1, 2, 3, 4, 5
IF_VERSION, IF_EXISTS, IF_MISSING = 1, 2, 3
LINEARIZABLE, REPLICA = 0, 1
COMMITTED, LOCAL = 0, 1
HAND_OVER, PROMOTE = 1, 2

MAX_KEY_BYTES = 480
MAX_VALUE_BYTES = 16 << 20
MIN_AMOUNT, MAX_AMOUNT = -2**63, 2**63 - 1
MAX_TTL_MS = 36525 * 24 * 60 * 60 * 1000
MAX_OPERATIONS = 4096
MAX_SCAN_ITEMS = 1000
# What a key of a record that is no user's begins with.
RESERVED_PREFIX = b"\xff\xffdkv\xff"
MAX_IDEMPOTENCY_KEY_BYTES = 255
MAX_REQUEST_BYTES = MAX_VALUE_BYTES + (1 << 20)
MAX_MESSAGE_BYTES = 19005440


class Malformed(Exception):
    """Bytes that are no message of this protocol."""


@dataclass(frozen=True)
class Condition:
    """What a key must hold for a put or delete to be done. Made by if_version(), if_exists() and if_missing()."""

    kind: int
    version: Version = (0, 0)  # of IF_VERSION


@dataclass(frozen=True)
class Operation:
    """What to do with one key. Made by get(), put(), delete(), increment() and touch()."""

    code: int
    key: bytes
    value: bytes = b""
    report_created: bool = False  # a put: say whether the key was missing, which costs the node a look-up
    condition: Optional[Condition] = None  # of a put or delete
    amount: int = 0  # of an increment
    ttl_ms: Optional[int] = None  # of a put or touch: how long it is to live; None: for ever
    keep_ttl: bool = False  # of a put: as long as the record that it replaces


@dataclass(frozen=True)
class Moved:
    """Where a key lives that the asked node does not own."""

    shard: int
    shard_name: str
    node_name: str
    rpc: str
    http: str
    topology_version: int


@dataclass(frozen=True)
class Result:
    """What became of one operation.

    `code` is 0 (done), 1 (no such key), or the code of an error, whose `message` is for people. (16: another
    operation of an atomic batch was not done, so this one was not either.)
    `version` is (epoch, seq) of the record that was read, written or removed; of a condition that failed, of the
    record that is there, None when there is none. `value` is what a get found, or an increment's sum in decimal.
    `ttl_ms` is what is left of the time that the record got by get has to live; None: for ever.
    """

    code: int
    version: Optional[Version] = None
    created: bool = False
    value: bytes = b""
    message: str = ""
    moved: Optional[Moved] = None
    ttl_ms: Optional[int] = None

    @property
    def ok(self) -> bool:
        return self.code == OK


@dataclass(frozen=True)
class Reply:
    """A decoded reply.

    `body` is a list of Result, a TopologyReply, a status dict, a ControlReply, a Page, or a Refusal.
    """

    request_id: int
    body: Any
    session: Optional[Session] = None  # where it was asked for: what the answer has shown


@dataclass(frozen=True)
class Refusal:
    """The whole request was refused, and nothing of it was done."""

    code: int
    message: str


@dataclass(frozen=True)
class TopologyReply:
    version: int
    encoded: bytes


@dataclass(frozen=True)
class Control:
    """What an operator wants of a shard's primary."""

    action: int  # HAND_OVER or PROMOTE
    shard: str
    node: str  # who is to lead; "" of a hand-over: any replica that is in sync


@dataclass(frozen=True)
class ControlReply:
    """It was done."""

    text: str


@dataclass(frozen=True)
class Scan:
    """A page of a shard's records. Up: start <= key < end; down: end <= key < start. Empty `end` up and `start` down:
    no end."""

    shard: int
    start: bytes
    end: bytes
    down: bool
    keys_only: bool
    limit: int


class Item(NamedTuple):
    """A record that a scan found. `value` is empty where only keys were asked for."""

    key: bytes
    value: bytes
    version: Version
    ttl_ms: Optional[int] = None  # what is left of its time to live; None: for ever


@dataclass(frozen=True)
class Page:
    """`next`: the `start` of the page behind it, empty when there is none. `moved`: instead of a page."""

    items: List[Item]
    next: bytes = b""
    moved: Optional[Moved] = None


@dataclass(frozen=True)
class Node:
    id: int
    name: str
    http: str
    rpc: str
    events: str
    peer: str
    watch: str


@dataclass(frozen=True)
class Shard:
    id: int
    name: str
    weight: int
    primary: int
    replicas: List[int]
    in_sync: List[int]
    store: str  # "lmdb", or "memory": volatile


@dataclass(frozen=True)
class Topology:
    """Who is in the cluster, and which shard owns which slot (`owners[slot]` is a shard's id)."""

    version: int
    id: int
    name: str
    nodes: Dict[int, Node]
    shards: Dict[int, Shard]
    keepers: List[int]
    owners: List[int] = field(repr=False)


# ---- requests ----

def _packable(op: Operation) -> List[Any]:
    if op.code == INCREMENT:
        return [INCREMENT, op.key, op.amount < 0, abs(op.amount)]
    ttl = [1] if op.keep_ttl else [0] if op.ttl_ms is None else [2, op.ttl_ms]
    if op.code == TOUCH:
        return [TOUCH, op.key, ttl]
    if op.code == PUT and ttl != [0]:
        condition = [0] if op.condition is None else _packable_condition(op.condition)
        return [PUT, op.key, op.value, op.report_created, condition, ttl]
    condition = [] if op.condition is None else [_packable_condition(op.condition)]
    if op.code != PUT:
        return [op.code, op.key, *condition]
    created = [op.report_created] if op.report_created or condition else []
    return [PUT, op.key, op.value, *created, *condition]


def _packable_condition(condition: Condition) -> List[int]:
    return [condition.kind, *condition.version] if condition.kind == IF_VERSION else [condition.kind]


def encode_request(type_: int, request_id: int, operations: Sequence[Operation] = (), read: int = LINEARIZABLE,
                   ack: int = COMMITTED, client_id: int = 0, number: int = 0,
                   control: Optional[Control] = None, atomic: bool = False, scan: Optional[Scan] = None,
                   numbers: Sequence[int] = (), session: Optional[Session] = None) -> bytes:
    """`numbers`: of the operations, at `client_id`, which are to be done once; `number`: of an atomic batch."""
    body: List[Any] = []
    if type_ == TYPE_OPERATIONS:
        body = [read, ack, [_packable(op) for op in operations], *([True] if atomic else [])]
        if numbers:
            number = min(numbers)
            offsets = [one - number for one in numbers]
            if offsets != list(range(len(numbers))):
                body += [False, offsets]
    elif control is not None:
        body = [control.action, control.shard, control.node]
    elif scan is not None:
        body = [read, scan.shard, scan.start, scan.end, scan.down, scan.keys_only, scan.limit]
    seen: List[Any] = []
    if session is not None:
        shards = [[shard, *version] for shard, version in sorted(session.seen.items())]
        seen = [[session.topology_version, shards]]
    return msgpack.packb([VERSION, type_, request_id, client_id, number, body, *seen], use_bin_type=True)


# ---- replies ----

def _unpack(data: bytes) -> Any:
    try:
        return msgpack.unpackb(data, raw=True, strict_map_key=True, max_map_len=0, max_ext_len=0,
                               max_str_len=len(data), max_bin_len=len(data), max_array_len=len(data))
    except Exception as error:  # msgpack raises many kinds, ValueError and its own among them
        raise Malformed(str(error)) from error


def _array(value: Any, size: Optional[int] = None) -> list:
    if not isinstance(value, list) or (size is not None and len(value) != size):
        raise Malformed("an array was expected")
    return value


def _uint(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Malformed("an unsigned integer was expected")
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Malformed("true or false was expected")
    return value


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise Malformed("bytes were expected")
    return value


def _text(value: Any) -> str:
    return _bytes(value).decode("utf-8", "replace")


def peek_request_id(data: bytes) -> int:
    """The id of a reply. Raises Malformed for what is no reply."""
    return _uint(_envelope(data)[2])


def _envelope(data: bytes) -> list:
    fields = _array(_unpack(data))
    if len(fields) not in (4, 5):
        raise Malformed("not the envelope of a reply")
    return fields


def decode_reply(data: bytes, asked: Sequence[int]) -> Reply:
    """`asked`: the codes of the request's operations, in order. Raises Malformed."""
    version, type_, request_id, body, *rest = _envelope(data)
    request_id = _uint(request_id)
    if _uint(version) != VERSION:
        # The envelope and an error's body are the same in every version.
        return Reply(request_id, Refusal(5, f"the node answered in protocol version {version}"))
    decoded: Union[Refusal, List[Result], TopologyReply, ControlReply, Page, Dict[str, Any]]
    if _uint(type_) == TYPE_ERROR:
        decoded = _refusal(body)
    elif type_ == TYPE_OPERATIONS:
        decoded = [_result(one, code) for one, code in zip(_array(body, len(asked)), asked)]
    elif type_ == TYPE_TOPOLOGY:
        fields = _array(body, 2)
        decoded = TopologyReply(_uint(fields[0]), _bytes(fields[1]))
    elif type_ == TYPE_STATUS:
        decoded = _status(body)
    elif type_ == TYPE_CONTROL:
        decoded = ControlReply(_text(_array(body, 1)[0]))
    elif type_ == TYPE_SCAN:
        decoded = _page(body)
    else:
        raise Malformed("an unknown type of reply")
    if rest and type_ not in (TYPE_OPERATIONS, TYPE_SCAN):
        raise Malformed("a session of what has none")
    return Reply(request_id, decoded, _session(rest[0]) if rest else None)


def _session(body: Any) -> Session:
    session = Session()
    version, shards = _array(body, 2)
    session.topology_version = _uint(version)
    for one in _array(shards):
        shard, epoch, seq = (_uint(number) for number in _array(one, 3))
        session.seen[shard] = (epoch, seq)
    return session


def _refusal(body: Any) -> Refusal:
    code, message = _array(body, 2)
    if _uint(code) in (OK, MOVED):
        raise Malformed("an error with a code that is none")
    return Refusal(code, _text(message))


def _result(body: Any, asked: int) -> Result:
    fields = _array(body)
    if not fields:
        raise Malformed("an empty result")
    code = _uint(fields[0])
    if code == MOVED:
        return Result(code, moved=_moved(body))
    if code == CONDITION_FAILED:
        _array(body, 4)
        version = (_uint(fields[2]), _uint(fields[3]))
        return Result(code, None if version == (0, 0) else version, message=_text(fields[1]))
    if code != OK:
        _array(body, 2)
        return Result(code, message=_text(fields[1]))
    if len(fields) not in (5, 6):
        raise Malformed("a result of another length")
    value = _bytes(fields[4])
    if asked not in (GET, INCREMENT) and value:
        raise Malformed("a value in the answer to a put or remove")
    ttl_ms = _uint(fields[5]) if len(fields) == 6 else None
    return Result(code, (_uint(fields[1]), _uint(fields[2])), _bool(fields[3]), value, ttl_ms=ttl_ms)


def _moved(body: Any) -> Moved:
    _, shard, shard_name, node_name, rpc, http, version = _array(body, 7)
    return Moved(_uint(shard), _text(shard_name), _text(node_name), _text(rpc), _text(http), _uint(version))


def _page(body: Any) -> Page:
    fields = _array(body)
    if fields and _uint(fields[0]) == MOVED:
        return Page([], moved=_moved(body))
    code, ended, behind, items = _array(body, 4)
    if _uint(code) != OK or _bool(ended) != (not _bytes(behind)) or len(_array(items)) > MAX_SCAN_ITEMS:
        raise Malformed("not a page of a scan")
    return Page([_item(item) for item in items], _key(behind, MAX_KEY_BYTES + 1))


def _item(body: Any) -> Item:
    fields = _array(body)
    if len(fields) not in (4, 5):
        raise Malformed("a record of another length")
    key, epoch, seq, value = fields[:4]
    ttl_ms = _uint(fields[4]) if len(fields) == 5 else None
    return Item(_key(key, MAX_KEY_BYTES), _bytes(value), (_uint(epoch), _uint(seq)), ttl_ms)


def _key(value: Any, most: int) -> bytes:
    if len(_bytes(value)) > most:
        raise Malformed("a key that is too long")
    return value


def _status(body: Any) -> Dict[str, Any]:
    node, version, topology_version, change, ready, isolated, keepers, members = _array(body, 8)
    if len(_array(keepers)) > 16:
        raise Malformed("more keepers than there can be")
    return {"node": _text(node), "version": _text(version), "topology_version": _uint(topology_version),
            "topology_change": _uint(change), "ready": _bool(ready), "isolated": _bool(isolated),
            "keepers": [_keeper(keeper) for keeper in keepers],
            "members": [_member(member) for member in _array(members)]}


def _keeper(body: Any) -> Dict[str, Any]:
    node, reached, silent_ms = _array(body, 3)
    return {"node": _text(node), "reached": _bool(reached), "silent_ms": _uint(silent_ms)}


def _member(body: Any) -> Dict[str, Any]:
    fields = _array(body, 19)
    names = ("epoch", "head", "durable", "commit", "applied", "lag_events", "gaps_repaired", "copied_records",
             "copied_bytes")
    member: Dict[str, Any] = {
        "shard": _uint(fields[0]), "shard_name": _text(fields[1]), "primary": _bool(fields[2]),
        "ready": _bool(fields[3]), "state": _text(fields[4]), "problem": _text(fields[5])}
    member.update({name: _uint(value) for name, value in zip(names, fields[6:15])})
    member["volatile"] = _bool(fields[15])
    member["leased"] = _bool(fields[16])
    member["lease_ms"] = _uint(fields[17])
    member["replicas"] = [_replica(replica) for replica in _array(fields[18])]
    return member


def _replica(body: Any) -> Dict[str, Any]:
    node, in_sync, counted, heard, durable, lag_events, silent_ms = _array(body, 7)
    return {"node": _text(node), "in_sync": _bool(in_sync), "counted": _bool(counted), "heard": _bool(heard), "durable": _uint(durable),
            "lag_events": _uint(lag_events), "silent_ms": _uint(silent_ms)}


# ---- the topology ----

def decode_topology(data: bytes) -> Topology:
    """Format version 2, as topology/README.md specifies it. Raises Malformed."""
    fields = _array(_unpack(data))
    if not fields or _uint(fields[0]) != 2:
        raise Malformed("a topology of another format")
    if len(fields) == 10:
        _uint(fields.pop())  # how failover is timed: the nodes' matter
    _, version, _change, id_, name, nodes, shards, keepers, ranges = _array(fields, 9)
    by_id = {}
    for node in _array(nodes):
        number, *texts = _array(node, 7)
        by_id[_uint(number)] = Node(number, *[_text(text) for text in texts])
    owned = {}
    for shard in _array(shards):
        number, shard_name, weight, primary, replicas, in_sync, store, _epoch, _made_by, _folders = _array(shard, 10)
        if _uint(store) > 1:
            raise Malformed("a shard of an unknown store")
        owned[_uint(number)] = Shard(number, _text(shard_name), _uint(weight), _uint(primary),
                                     [_uint(one) for one in _array(replicas)], [_uint(one) for one in _array(in_sync)],
                                     "memory" if store else "lmdb")
        if any(member not in by_id for member in [primary, *owned[number].replicas]):
            raise Malformed("a shard with an unknown node")
    return Topology(_uint(version), _uint(id_), _text(name), by_id, owned,
                    [_uint(_array(one, 3)[0]) for one in _array(keepers)], _owners(ranges, owned))


def _owners(ranges: Any, shards: Dict[int, Shard]) -> List[int]:
    owners: List[int] = []
    for one in _array(ranges):
        first, last, shard = (_uint(number) for number in _array(one, 3))
        if first != len(owners) or not first <= last < SLOT_COUNT or shard not in shards:
            raise Malformed("slot ranges with a gap, or an unknown shard")
        owners.extend([shard] * (last - first + 1))
    if len(owners) != SLOT_COUNT:
        raise Malformed("a slot without an owner")
    return owners
