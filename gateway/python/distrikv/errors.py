"""What can go wrong, one exception for each error code that a client can act on.

The numbers are those of messages/README.md, "Codes". A missing key is no error: see Client.get.
"""

from typing import Dict, Optional, Tuple, Type

Version = Tuple[int, int]  # of a record: (epoch, seq). A later one is greater


class DistriKVError(Exception):
    """The base of all of them. `code` is the number on the wire. `operation`: which of an atomic batch it is about, None
    for all of it or where there is none."""

    code = 13
    operation: Optional[int] = None


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


class ConditionFailed(DistriKVError):
    """A write's condition does not hold. Nothing was done.

    `version` is that of the record that is there instead, None when there is none.
    """

    code = 14

    def __init__(self, message: str, version: Optional[Version] = None) -> None:
        super().__init__(message)
        self.version = version


class NotACounter(DistriKVError):
    """The key holds no 64-bit integer in decimal, or the sum would be none. Nothing was done."""

    code = 15


class Reused(DistriKVError):
    """Another write was sent by the same name for once (`once`). Nothing was done."""

    code = 17


OK = 0
NOT_FOUND = 1
MOVED = 2
CONDITION_FAILED = ConditionFailed.code
ABORTED = 16

_BY_CODE: Dict[int, Type[DistriKVError]] = {
    kind.code: kind
    for kind in (BadRequest, TooLarge, WrongVersion, Overloaded, Unavailable, UnknownOutcome, DiskFull, IoError,
                 Corrupt, InternalError, ConditionFailed, NotACounter, Reused)
}


def error_of(code: int, message: str, version: Optional[Version] = None) -> DistriKVError:
    """The exception for a code; one that is not known counts as a defect in the node."""
    if code == CONDITION_FAILED:
        return ConditionFailed(message, version)
    kind = _BY_CODE.get(code)
    if kind is None:
        return InternalError(f"error {code}: {message}")
    return kind(message)
