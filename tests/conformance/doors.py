"""The ways into a cluster, each made to look the same: an operation in, an Answer out.

Operations are dictionaries: {"op": "get" | "put" | "delete" | "increment" | "touch", "key": bytes, "value": bytes,
"by": int, "condition": None | "exists" | "missing" | (epoch, seq), "ttl": None | "forever" | "keep" | seconds,
"once": a name by which it is done once, "session": whether it is of the door's session, "replica": of a get}.
"""

import base64
import http.client
import json
import os
import subprocess
import tempfile
import urllib.parse
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import zmq

import distrikv
from distrikv import protocol
from distrikv.client import _once_id

Version = Tuple[int, int]
NAMES = {0: "ok", 1: "not_found", 3: "bad_request", 4: "too_large", 14: "condition_failed", 15: "not_a_counter",
         16: "aborted", 17: "reused"}


class Answer(NamedTuple):
    """What this door does not tell of an operation is None."""

    code: str
    value: Optional[bytes] = None
    version: Optional[Version] = None
    created: Optional[bool] = None
    ttl_ms: Optional[int] = None


class Unfit(Exception):
    """This door cannot say such a thing at all."""


def set_bytes(json_: Dict[str, Any], name: str, value: bytes) -> None:
    try:
        json_[name] = value.decode("utf-8")
    except UnicodeDecodeError:
        json_[name + "_b64"] = base64.b64encode(value).decode()


def get_bytes(json_: Dict[str, Any], name: str) -> Optional[bytes]:
    if name + "_b64" in json_:
        return base64.b64decode(json_[name + "_b64"])
    return json_[name].encode() if name in json_ else None


def etag(version: Version) -> str:
    return f'"{version[0]}-{version[1]}"'


def version_of(text: Optional[str]) -> Optional[Version]:
    if not text:
        return None
    epoch, seq = text.strip('"').split("-")
    return int(epoch), int(seq)


def condition_fields(condition: Any) -> Dict[str, str]:
    if condition is None:
        return {}
    if condition == "missing":
        return {"if_none_match": "*"}
    return {"if_match": "*" if condition == "exists" else etag(condition)}


def ttl_text(ttl: Any) -> str:
    return ttl if isinstance(ttl, str) else f"{round(ttl * 1000)}ms"


def batch_json(operations: List[Dict[str, Any]], atomic: bool, **more: Any) -> str:
    all_ = []
    for operation in operations:
        one: Dict[str, Any] = {"op": operation["op"]}
        set_bytes(one, "key", operation["key"])
        if operation["op"] == "put":
            set_bytes(one, "value", operation["value"])
        if operation["op"] == "increment":
            one["by"] = operation["by"]
        if operation.get("ttl") is not None:
            one["ttl"] = ttl_text(operation["ttl"])
        one.update(condition_fields(operation.get("condition")))
        all_.append(one)
    return json.dumps({"operations": all_, "atomic": atomic, **more})


def batch_answers(text: str, operations: List[Dict[str, Any]]) -> List[Answer]:
    body = json.loads(text)
    if "error" in body:
        return [Answer(body["error"]["code"])] * len(operations)
    answers = []
    for operation, result in zip(operations, body["results"]):
        code = result["error"]["code"] if "error" in result else "ok"
        created = result["status"] == 201 if operation["op"] == "put" and code == "ok" else None
        answers.append(Answer(code, get_bytes(result, "value"), version_of(result.get("etag")), created,
                              result.get("ttl_ms")))
    return answers


class Door:
    name = ""

    def close(self) -> None:
        pass

    def one(self, operation: Dict[str, Any]) -> Answer:
        raise NotImplementedError

    def batch(self, operations: List[Dict[str, Any]], atomic: bool, once: Optional[str] = None) -> List[Answer]:
        raise NotImplementedError

    def scan(self, **options: Any) -> List[Tuple[bytes, bytes]]:
        """Everything, whatever pages it comes in. `limit` is a page's."""
        raise NotImplementedError


class Http(Door):
    name = "http"

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.session = "new"

    def _ask(self, method: str, target: str, body: Optional[bytes] = None,
             headers: Optional[Dict[str, str]] = None) -> http.client.HTTPResponse:
        endpoint = self.endpoint
        for _ in range(5):
            connection = http.client.HTTPConnection(endpoint, timeout=20)
            connection.request(method, target, body, headers or {})
            response = connection.getresponse()
            response.content = response.read()  # type: ignore[attr-defined]
            connection.close()
            if response.status != 307:
                return response
            url = urllib.parse.urlsplit(response.headers["Location"])
            endpoint, target = url.netloc, url.path + ("?" + url.query if url.query else "")
        raise RuntimeError("redirected in circles")

    def one(self, operation: Dict[str, Any]) -> Answer:
        path = "/v1/kv/" + urllib.parse.quote(operation["key"], safe="")
        op = operation["op"]
        names = {"if_match": "If-Match", "if_none_match": "If-None-Match"}
        headers = {names[name]: value for name, value in condition_fields(operation.get("condition")).items()}
        if "once" in operation:
            headers["Idempotency-Key"] = operation["once"]
        if "session" in operation:
            headers["X-Session"] = self.session
        if op == "increment":
            response = self._ask("POST", f"{path}/incr?by={operation['by']}", b"", headers)
        elif op == "touch":
            response = self._ask("POST", f"{path}/touch?ttl={ttl_text(operation['ttl'])}", b"", headers)
        else:
            method = {"get": "GET", "put": "PUT", "delete": "DELETE"}[op]
            how = "" if operation.get("ttl") is None else "?ttl=" + ttl_text(operation["ttl"])
            how += "?read=replica" if "replica" in operation else ""
            response = self._ask(method, path + how, operation.get("value"), headers)
        self.session = response.headers.get("X-Session", self.session)
        version = version_of(response.headers.get("ETag"))
        if response.status >= 400:
            return Answer(json.loads(response.content)["error"]["code"], None, version)
        if op == "put":
            return Answer("ok", None, version, response.status == 201)
        left = response.headers.get("X-TTL-Ms")
        return Answer("ok", response.content if op in ("get", "increment") else None, version,
                      ttl_ms=None if left is None else int(left))

    def batch(self, operations: List[Dict[str, Any]], atomic: bool, once: Optional[str] = None) -> List[Answer]:
        headers = {} if once is None else {"Idempotency-Key": once}
        response = self._ask("POST", "/v1/batch", batch_json(operations, atomic).encode(), headers)
        return batch_answers(response.content.decode(), operations)

    def scan(self, **options: Any) -> List[Tuple[bytes, bytes]]:
        query = {name: (str(value).lower() if isinstance(value, bool) else value) for name, value in options.items()}
        items: List[Tuple[bytes, bytes]] = []
        while True:
            page = json.loads(self._ask("GET", "/v1/kv?" + urllib.parse.urlencode(query)).content)
            items += [(get_bytes(item, "key"), get_bytes(item, "value")) for item in page["items"]]
            if "cursor" not in page:
                return items
            query["cursor"] = page["cursor"]


CODES = {"get": protocol.GET, "put": protocol.PUT, "delete": protocol.REMOVE, "increment": protocol.INCREMENT,
         "touch": protocol.TOUCH}


def python_condition(condition: Any) -> Optional[distrikv.Condition]:
    if condition is None:
        return None
    if condition == "missing":
        return distrikv.if_missing()
    return distrikv.if_exists() if condition == "exists" else distrikv.if_version(condition)


def python_operation(operation: Dict[str, Any]) -> distrikv.Operation:
    key, condition = operation["key"], python_condition(operation.get("condition"))
    if operation["op"] == "get":
        return distrikv.get(key)
    if operation["op"] == "increment":
        return distrikv.increment(key, operation["by"])
    if operation["op"] == "delete":
        return distrikv.delete(key, condition=condition)
    ttl = operation.get("ttl")
    seconds = None if ttl in (None, "forever", "keep") else ttl
    if operation["op"] == "touch":
        return distrikv.touch(key, seconds)
    return distrikv.put(key, operation["value"], True, condition=condition, ttl=seconds, keep_ttl=ttl == "keep")


def python_answer(operation: Dict[str, Any], result: distrikv.Result) -> Answer:
    ok = result.code == 0
    has_value = ok and operation["op"] in ("get", "increment")
    version = result.version if result.version not in (None, (0, 0)) and result.code in (0, 14) else None
    return Answer(NAMES.get(result.code, str(result.code)), result.value if has_value else None, version,
                  result.created if ok and operation["op"] == "put" else None, result.ttl_ms)


class Python(Door):
    name = "python"

    def __init__(self, endpoint: str) -> None:
        self.client = distrikv.Client([endpoint], timeout=20.0)
        self.session = distrikv.Session()

    def close(self) -> None:
        self.client.close()

    def one(self, operation: Dict[str, Any]) -> Answer:
        session = self.session if "session" in operation else None
        results = self.client.execute([python_operation(operation)], "replica" in operation,
                                      once=operation.get("once"), session=session)
        return python_answer(operation, results[0])

    def batch(self, operations: List[Dict[str, Any]], atomic: bool, once: Optional[str] = None) -> List[Answer]:
        execute = self.client.execute_atomically if atomic else self.client.execute
        try:
            results = execute([python_operation(operation) for operation in operations], once=once)
        except distrikv.DistriKVError as error:
            code = NAMES[error.code]
            return [Answer("aborted" if error.operation not in (None, place) else code)
                    for place in range(len(operations))]
        return [python_answer(operation, result) for operation, result in zip(operations, results)]

    def scan(self, **options: Any) -> List[Tuple[bytes, bytes]]:
        options.pop("limit", None)
        return [(item.key, item.value) for item in self.client.scan(**options)]


class Rpc(Door):
    """The protocol itself: one socket per node, no library but the codec. Follows MOVED."""

    name = "rpc"

    def __init__(self, endpoint: str) -> None:
        self.context = zmq.Context()
        self.sockets: Dict[str, zmq.Socket] = {}
        self.endpoint = endpoint
        self.last_id = 0
        self.session = distrikv.Session()

    def close(self) -> None:
        for socket in self.sockets.values():
            socket.close(linger=0)
        self.context.term()

    def _ask(self, endpoint: str, type_: int, operations: List[distrikv.Operation], **more: Any) -> Any:
        if endpoint not in self.sockets:
            self.sockets[endpoint] = self.context.socket(zmq.DEALER)
            self.sockets[endpoint].connect(f"tcp://{endpoint}")
        socket = self.sockets[endpoint]
        self.last_id += 1
        socket.send(protocol.encode_request(type_, self.last_id, operations, **more))
        if not socket.poll(20_000):
            raise RuntimeError(f"no answer from {endpoint}")
        reply = protocol.decode_reply(socket.recv(), [operation.code for operation in operations])
        self.session.take(reply.session)
        return reply.body

    def one(self, operation: Dict[str, Any]) -> Answer:
        more: Dict[str, Any] = {"session": self.session} if "session" in operation else {}
        if "replica" in operation:
            more["read"] = protocol.REPLICA
        return self.batch([operation], False, operation.get("once"), **more)[0]

    def batch(self, operations: List[Dict[str, Any]], atomic: bool, once: Optional[str] = None,
              **more: Any) -> List[Answer]:
        client_id, number = _once_id(once) if once is not None else (0, 0)
        packed = [python_operation(operation) for operation in operations]
        endpoint, answers = self.endpoint, [None] * len(packed)
        todo = list(range(len(packed)))
        for _ in range(20):
            numbers = [number + i for i in todo] if number and not atomic else []
            body = self._ask(endpoint, protocol.TYPE_OPERATIONS, [packed[i] for i in todo], atomic=atomic,
                             client_id=client_id, number=number, numbers=numbers, **more)
            if isinstance(body, protocol.Refusal):
                return [Answer(NAMES.get(body.code, str(body.code)))] * len(packed)
            moved = []
            for place, result in zip(todo, body):
                if result.code == distrikv.errors.MOVED:
                    moved.append(place)
                    endpoint = result.moved.rpc
                else:
                    answers[place] = python_answer(operations[place], result)
            todo = moved
            if not todo:
                return answers  # type: ignore[return-value]
        raise RuntimeError("moved in circles")

    def scan(self, **options: Any) -> List[Tuple[bytes, bytes]]:
        raise Unfit("whoever speaks the protocol puts the shards' pages together for itself")


class Cpp(Door):
    name = "c++"

    def __init__(self, endpoint: str, driver: str) -> None:
        self.process = subprocess.Popen([driver, endpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()

    def _ask(self, line: str) -> str:
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().decode()

    def one(self, operation: Dict[str, Any]) -> Answer:
        more = {name: operation[name] for name in ("once", "session") if name in operation}
        if "replica" in operation:
            more["read"] = "replica"
        return batch_answers(self._ask(batch_json([operation], False, **more)), [operation])[0]

    def batch(self, operations: List[Dict[str, Any]], atomic: bool, once: Optional[str] = None) -> List[Answer]:
        more = {} if once is None else {"once": once}
        return batch_answers(self._ask(batch_json(operations, atomic, **more)), operations)

    def scan(self, **options: Any) -> List[Tuple[bytes, bytes]]:
        asked: Dict[str, Any] = {}
        for name, value in options.items():
            set_bytes(asked, name, value) if isinstance(value, bytes) else asked.update({name: value})
        page = json.loads(self._ask(json.dumps({"scan": asked})))
        return [(get_bytes(item, "key"), get_bytes(item, "value")) for item in page["items"]]


class CommandLine(Door):
    name = "cli"

    def __init__(self, endpoint: str, program: str) -> None:
        self.program, self.endpoint = program, endpoint
        self.folder = tempfile.TemporaryDirectory()

    def close(self) -> None:
        self.folder.cleanup()

    def _run(self, command: str, arguments: List[bytes], stdin: bytes = b"") -> subprocess.CompletedProcess:
        words: List[Any] = [self.program, command, "--json", "--node", self.endpoint, *arguments]
        return subprocess.run(words, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              check=False)

    def one(self, operation: Dict[str, Any]) -> Answer:
        op, key, condition = operation["op"], operation["key"], operation.get("condition")
        if b"\0" in key:
            raise Unfit("an argument cannot hold a NUL byte")
        words: List[bytes] = []
        if condition is not None:
            words = [b"--if-" + condition.encode()] if isinstance(condition, str) else [
                b"--if-version", etag(condition).strip('"').encode()]
        if op == "put" and operation.get("ttl") is not None:
            words += [b"--ttl", ttl_text(operation["ttl"]).encode()]
        if "once" in operation:
            words += [b"--once", operation["once"].encode()]
        if "session" in operation:
            words += [b"--session", os.path.join(self.folder.name, "session").encode()]
        if "replica" in operation:
            words.append(b"--replica")
        words += [b"--", key]
        if op == "put":
            words.append(b"-")
        if op == "touch":
            words.append(ttl_text(operation["ttl"]).encode())
        if op == "increment":
            words.append(str(operation["by"]).encode())
        command = {"get": "get", "put": "set", "delete": "del", "increment": "incr",
                   "touch": "touch"}[op]
        done = self._run(command, words, operation.get("value", b""))
        body = json.loads(done.stdout)
        if "error" in body:
            return Answer(body["error"]["code"])
        if False in (body.get("found"), body.get("deleted"), body.get("touched")):
            return Answer("not_found")
        value = str(body["number"]).encode() if op == "increment" else get_bytes(body, "value")
        return Answer("ok", value if op in ("get", "increment") else None, version_of(body["version"]),
                      body["created"] if op == "put" else None, body.get("ttl_ms"))

    def batch(self, operations: List[Dict[str, Any]], atomic: bool, once: Optional[str] = None) -> List[Answer]:
        words = [] if once is None else [b"--once", once.encode()]
        done = self._run("batch", words, batch_json(operations, atomic).encode())
        return batch_answers(done.stdout.decode(), operations)

    def scan(self, **options: Any) -> List[Tuple[bytes, bytes]]:
        options.pop("limit", None)
        words: List[bytes] = []
        for name in ("start", "end"):
            if name in options:
                words += [b"--" + name.encode(), options[name]]
        if options.get("reverse"):
            words.append(b"--reverse")
        words += [b"--", options.get("prefix", b"")]
        lines = self._run("scan", words).stdout.decode().splitlines()
        items = [json.loads(line) for line in lines]
        return [(get_bytes(item, "key"), get_bytes(item, "value")) for item in items]
