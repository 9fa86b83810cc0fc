"""The bytes of requests and replies, as messages/README.md specifies them. Pure functions."""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence, Union

import msgpack

from .errors import MOVED, OK
from .slots import SLOT_COUNT

VERSION = 1

TYPE_ERROR, TYPE_OPERATIONS, TYPE_TOPOLOGY, TYPE_STATUS, TYPE_CONTROL = 0, 1, 2, 3, 4
GET, PUT, REMOVE = 1, 2, 3
LINEARIZABLE, REPLICA = 0, 1
COMMITTED, LOCAL = 0, 1
HAND_OVER, PROMOTE = 1, 2

MAX_KEY_BYTES = 480
MAX_VALUE_BYTES = 16 << 20
MAX_OPERATIONS = 4096
MAX_REQUEST_BYTES = MAX_VALUE_BYTES + (1 << 20)
MAX_MESSAGE_BYTES = 19005440


class Malformed(Exception):
    """Bytes that are no message of this protocol."""


@dataclass(frozen=True)
class Operation:
    """What to do with one key. Made by get(), put() and delete()."""

    code: int
    key: bytes
    value: bytes = b""
    report_created: bool = False  # a put: say whether the key was missing, which costs the node a look-up


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

    `code` is 0 (done), 1 (no such key), or the code of an error, whose `message` is for people.
    `version` is (epoch, seq) of the record that was read, written or removed.
    """

    code: int
    version: Optional[tuple] = None
    created: bool = False
    value: bytes = b""
    message: str = ""
    moved: Optional[Moved] = None

    @property
    def ok(self) -> bool:
        return self.code == OK


@dataclass(frozen=True)
class Reply:
    """A decoded reply: `body` is a list of Result, a TopologyReply, a status dict, a ControlReply, or a Refusal."""

    request_id: int
    body: Any


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

def _packable(op: Operation) -> list:
    if op.code != PUT:
        return [op.code, op.key]
    return [PUT, op.key, op.value, True] if op.report_created else [PUT, op.key, op.value]


def encode_request(type_: int, request_id: int, operations: Sequence[Operation] = (), read: int = LINEARIZABLE,
                   ack: int = COMMITTED, client_id: int = 0, number: int = 0,
                   control: Optional[Control] = None) -> bytes:
    body: List[Any] = []
    if type_ == TYPE_OPERATIONS:
        body = [read, ack, [_packable(op) for op in operations]]
    elif control is not None:
        body = [control.action, control.shard, control.node]
    return msgpack.packb([VERSION, type_, request_id, client_id, number, body], use_bin_type=True)


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
    fields = _array(_unpack(data), 4)
    return _uint(fields[2])


def decode_reply(data: bytes, asked: Sequence[int]) -> Reply:
    """`asked`: the codes of the request's operations, in order. Raises Malformed."""
    version, type_, request_id, body = _array(_unpack(data), 4)
    request_id = _uint(request_id)
    if _uint(version) != VERSION:
        # The envelope and an error's body are the same in every version.
        return Reply(request_id, Refusal(5, f"the node answered in protocol version {version}"))
    decoded: Union[Refusal, List[Result], TopologyReply, ControlReply, Dict[str, Any]]
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
    else:
        raise Malformed("an unknown type of reply")
    return Reply(request_id, decoded)


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
        _array(body, 7)
        return Result(code, moved=Moved(_uint(fields[1]), _text(fields[2]), _text(fields[3]), _text(fields[4]),
                                        _text(fields[5]), _uint(fields[6])))
    if code != OK:
        _array(body, 2)
        return Result(code, message=_text(fields[1]))
    _array(body, 5)
    value = _bytes(fields[4])
    if asked != GET and value:
        raise Malformed("a value in the answer to a write")
    return Result(code, (_uint(fields[1]), _uint(fields[2])), _bool(fields[3]), value)


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
