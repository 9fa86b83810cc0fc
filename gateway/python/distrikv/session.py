"""What somebody has seen of a cluster, so that no replica shows them an older state."""

from typing import Dict, Optional

from .errors import Version


class Session:
    """Up to where each shard has been seen. Give the same one to calls that belong together: a read of a replica then
    shows what they wrote, and never less than an earlier one did. `str()` is its token, which another process, or
    HTTP's X-Session, goes on with: Session(token).
    """

    def __init__(self, token: str = "") -> None:
        self.topology_version = 0
        self.seen: Dict[int, Version] = {}
        if not token:
            return
        try:
            version, semicolon, places = token.partition(";")
            if not semicolon:
                raise ValueError
            self.topology_version = _number(version)
            for place in filter(None, places.split(",")):
                shard, _, position = place.partition(":")
                epoch, _, seq = position.partition("-")
                self.seen[_number(shard)] = (_number(epoch), _number(seq))
        except ValueError:
            raise ValueError(f"not a session's token: {token!r}") from None

    def take(self, other: Optional["Session"]) -> None:
        """Goes up to what both have seen."""
        if other is None:
            return
        self.topology_version = max(self.topology_version, other.topology_version)
        for shard, version in other.seen.items():
            self.seen[shard] = max(self.seen.get(shard, (0, 0)), version)

    def __str__(self) -> str:
        if not self.topology_version and not self.seen:
            return ""
        places = (f"{shard}:{epoch}-{seq}" for shard, (epoch, seq) in sorted(self.seen.items()))
        return f"{self.topology_version};{','.join(places)}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Session) and str(self) == str(other)

    def __repr__(self) -> str:
        return f"Session({str(self)!r})"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError
    return int(text)
