"""A client of a distri-kv cluster over ZeroMQ. See README.md, and Client."""

from .client import (Client, Condition, Item, Operation, Pending, Record, Result, delete, get, if_exists, if_missing,
                     if_version, increment, put, touch)
from .errors import (BadRequest, ConditionFailed, Corrupt, DiskFull, DistriKVError, InternalError, IoError,
                     NotACounter, Overloaded, Reused, TooLarge, Unavailable, UnknownOutcome, Version, WrongVersion)
from .session import Session
from .slots import SLOT_COUNT, slot_of
from .watch import WatchEvent

__all__ = [
    "Client", "Pending", "Session", "WatchEvent", "Record", "Item", "Version", "Operation", "Result", "get", "put", "delete", "increment",
    "touch",
    "Condition", "if_version", "if_exists", "if_missing", "slot_of", "SLOT_COUNT",
    "DistriKVError", "BadRequest", "TooLarge", "WrongVersion", "Overloaded", "Unavailable",
    "UnknownOutcome", "DiskFull", "IoError", "Corrupt", "InternalError", "ConditionFailed", "NotACounter", "Reused",
]
