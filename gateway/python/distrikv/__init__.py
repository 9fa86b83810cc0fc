"""A client of a distri-kv cluster over ZeroMQ. See README.md, and Client."""

from .client import Client, Operation, Result, get, put, delete
from .errors import (BadRequest, Corrupt, DiskFull, DistriKVError, InternalError, IoError, Overloaded,
                     TooLarge, Unavailable, UnknownOutcome, WrongVersion)
from .slots import SLOT_COUNT, slot_of

__all__ = [
    "Client", "Operation", "Result", "get", "put", "delete", "slot_of", "SLOT_COUNT",
    "DistriKVError", "BadRequest", "TooLarge", "WrongVersion", "Overloaded", "Unavailable",
    "UnknownOutcome", "DiskFull", "IoError", "Corrupt", "InternalError",
]
