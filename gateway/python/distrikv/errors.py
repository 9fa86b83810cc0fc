"""What can go wrong, one exception for each error code that a client can act on.

The numbers are those of messages/README.md, "Codes". A missing key is no error: see Client.get.
"""

from typing import Dict, Type


class DistriKVError(Exception):
    """The base of all of them. `code` is the number on the wire."""

    code = 13


class BadRequest(DistriKVError):
    """Malformed, for example an empty key: it will never succeed as it is."""

    code = 3


class TooLarge(DistriKVError):
    """A key over 480 bytes, or a value over 16 MiB."""

    code = 4


class WrongVersion(DistriKVError):
    """The node does not speak this client's version of the protocol."""

    code = 5


class Overloaded(DistriKVError):
    """Still too busy at the deadline. Nothing was done: try later."""

    code = 6


class Unavailable(DistriKVError):
    """No node could answer by the deadline. Nothing was done: try later."""

    code = 7


class UnknownOutcome(DistriKVError):
    """The write may have happened, or not, or may yet. Read the key before deciding."""

    code = 8


class DiskFull(DistriKVError):
    """The shard is read-only until there is room on its disk."""

    code = 9


class IoError(DistriKVError):
    """The node's disk failed."""

    code = 10


class Corrupt(DistriKVError):
    """What the node has stored fails its checksum."""

    code = 11


class InternalError(DistriKVError):
    """A defect in the node. A write's outcome is unknown."""

    code = 13


OK = 0
NOT_FOUND = 1
MOVED = 2

_BY_CODE: Dict[int, Type[DistriKVError]] = {
    kind.code: kind
    for kind in (BadRequest, TooLarge, WrongVersion, Overloaded, Unavailable, UnknownOutcome, DiskFull, IoError,
                 Corrupt, InternalError)
}


def error_of(code: int, message: str) -> DistriKVError:
    """The exception for a code; one that is not known counts as a defect in the node."""
    kind = _BY_CODE.get(code)
    if kind is None:
        return InternalError(f"error {code}: {message}")
    return kind(message)
