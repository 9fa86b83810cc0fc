"""Watching keys: server-sent events over HTTP (gateway/http/README.md), through any node of a cluster."""

import base64
import http.client
import json
import time
import urllib.parse
from dataclasses import dataclass
from typing import Iterator, Optional, Sequence, Tuple

from .errors import BadRequest, Version

# A node says something every ten seconds.
_SILENCE_LIMIT = 25.0
_CONNECT_TIME = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


@dataclass(frozen=True)
class WatchEvent:
    """What happened: "open" (from here on nothing is missed; comes again with every connection), "put", "delete", or
    "gap": events were left out, `message` says of which shard and why; read the keys again."""

    kind: str
    key: bytes = b""
    value: bytes = b""
    version: Optional[Version] = None  # of the record, or of its removal
    message: str = ""
    place: str = ""  # behind it: where another watch goes on


def watch(nodes: Sequence[str], prefix: bytes, after: str, keys_only: bool) -> Iterator[WatchEvent]:
    """For ever, at one of these HTTP endpoints after the other."""
    place, pause = after, _FIRST_PAUSE
    while True:
        for node in nodes:
            try:
                for event in _events(node, prefix, place, keys_only):
                    pause = _FIRST_PAUSE
                    place = event.place or place
                    if event.kind:
                        yield event
            except (OSError, http.client.HTTPException):
                pass  # it has ended, or fallen silent: the next one goes on
            time.sleep(_FIRST_PAUSE)
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, 2 * pause)


def _events(node: str, prefix: bytes, place: str, keys_only: bool) -> Iterator[WatchEvent]:
    connection = http.client.HTTPConnection(node, timeout=_CONNECT_TIME)
    try:
        query = urllib.parse.urlencode({"prefix": prefix, "keys_only": "true" if keys_only else "false"})
        connection.request("GET", "/v1/watch?" + query, headers={"Last-Event-ID": place} if place else {})
        answer = connection.getresponse()
        if answer.status == 400:
            raise BadRequest(json.loads(answer.read())["error"]["message"])
        if answer.status != 200:
            raise http.client.HTTPException(f"{node} answers {answer.status}")
        if connection.sock is not None:  # else the answer has it, as one that ends with the connection
            connection.sock.settimeout(_SILENCE_LIMIT)
        else:
            answer.fp.raw._sock.settimeout(_SILENCE_LIMIT)
        fields = {}
        for line in answer:
            text = line.rstrip(b"\n")
            name, _, value = text.partition(b": ")
            if text:
                fields[name] = value
                continue
            yield _event(fields)
            fields = {}
    finally:
        connection.close()


def _event(fields: dict) -> WatchEvent:
    """Of no kind where it only says the place."""
    kind, place = fields.get(b"event", b"").decode(), fields.get(b"id", b"").decode()
    data = json.loads(fields.get(b"data", b"{}"))
    if kind not in ("put", "delete"):
        message = f"shard {data['shard']}: {data['message']}" if kind == "gap" else ""
        return WatchEvent(kind, message=message, place=place)
    return WatchEvent(kind, _bytes(data, "key"), _bytes(data, "value"), _version(data["etag"]), place=place)


def _bytes(data: dict, name: str) -> bytes:
    encoded = data.get(name + "_b64")
    return base64.b64decode(encoded) if encoded is not None else data.get(name, "").encode()


def _version(etag: str) -> Tuple[int, int]:
    epoch, seq = etag.strip('"').split("-")
    return int(epoch), int(seq)
