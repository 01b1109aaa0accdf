"""How topics are called on the server, and how an event goes through a channel."""

from __future__ import annotations

from wsrequest.push.brokers.base import Position


class Names:
    """The keys and channels of one prefix.

    What stands in the first pair of braces decides on the slot of a cluster, and a topic may hold braces of its own,
    also as its first character: so something of ours stands before it there. Pub/sub knows nothing of databases, so
    that the number stands in the names of channels.
    """

    def __init__(self, prefix: str, database: int) -> None:
        self._prefix = prefix
        self._channels = f"{prefix}{database}"
        #: What is heard by all processes.
        self.everywhere = _bytes(f"{self._channels}:all")

    def channel(self, topic: str) -> bytes:
        return _bytes(f"{self._channels}{{:{topic}}}")

    def history(self, topic: str) -> tuple[bytes, bytes]:
        """Where epoch and offset are kept, and where the events are."""
        key = f"{self._prefix}{{:{topic}}}"
        return _bytes(f"{key}:meta"), _bytes(f"{key}:events")

    def presence(self, topic: str) -> tuple[bytes, bytes]:
        """Until when the members are there, and with which data."""
        key = f"{self._prefix}{{:{topic}}}"
        return _bytes(f"{key}:leases"), _bytes(f"{key}:members")


def _bytes(name: str) -> bytes:
    return name.encode(errors="surrogatepass")


#: Stands before what is said in passing, where an event has ``epoch:offset:``.
PASSING = b"::"


def heard(data: bytes) -> tuple[Position | None, bytes]:
    """What came through a channel: the position (None: said in passing) and the payload. Raises ValueError for what
    was sent by somebody else."""
    epoch, offset, payload = data.split(b":", 2)
    if not epoch:
        return None, payload
    return Position(epoch.decode(), int(offset)), payload
