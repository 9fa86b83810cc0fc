#!/usr/bin/env python3
"""Writes what the test vectors hold into the corpus: one small file each. Run after a change of the vectors."""
import json
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = json.loads((HERE.parents[1] / "messages/vectors.json").read_text())
CODES = {"get": 1, "put": 2, "delete": 3, "remove": 3, "increment": 4, "touch": 5}


def write(target, name, content):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]).write_bytes(content)


def asked(vector):
    """What stands before a reply: see rpc_reply in messages.cpp."""
    codes = [CODES[one] - 1 for one in vector.get("asked", [])][:7]
    return bytes([len(codes), *codes])


for group, target in {"rpc_requests": "rpc_request", "rpc_replies": "rpc_reply", "frames": "frame", "peer": "peer",
                      "records": "records"}.items():
    for kind in ("", "_accepted", "_refused"):
        for vector in VECTORS.get(group + kind, []):
            content = bytes.fromhex(vector["hex"])
            if not content or len(content) > 2048:
                continue
            if target == "rpc_reply":
                content = asked(vector) + content
            if target == "frame":
                write("log_segment", vector["name"], b"\xff" + content)
            write(target, vector["name"], content)
