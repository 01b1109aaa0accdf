"""What carries messages between a test and a project: a transport, the server that runs it, and a client of its kind.

A carrier tells how its server is started and how its client opens a connection, and what it can't do (``lacks``): the
tests ask each carrier for everything, and hold what it lacks against what it says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.support.client import SUBPROTOCOL, Peer

#: What a carrier may lack, with what the documentation calls it. Each has a test that says so.
FEATURES = {
    "subprotocols": "several messages in a frame, `hello`, notices",
    "binary": "MessagePack",
    "headers": "headers and cookies of the handshake",
    "status": "refusal by an HTTP status",
    "codes": "close codes",
    "back-pressure": "a stream waits for a slow reader",
    "large": "answers of more than 1 MiB in one piece",
    "http": "HTTP from the same process",
    "exact": "JSON as it was written, blank by blank",
    "seed": "clients of 2014: any text in a frame, no ids",
}


@dataclass(frozen=True)
class Site:
    """A running server of :mod:`tests.transports.shared.site`."""

    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def http(self) -> str:
        return f"http://{self.address}"


class Refused(Exception):
    """The connection was not opened; ``status`` is that of the HTTP answer, None where the client does not see one."""

    def __init__(self, status: int | None, retry_after: str | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after = retry_after


class Wire(Protocol):
    """A client's end: as much of websockets' ClientConnection as :class:`~tests.support.client.Peer` uses.

    ``recv()`` raises websockets' ConnectionClosed when the connection is over (which other libraries' wires do by
    ``raise ConnectionClosed(None, None)``); ``close_code`` is known from then on, 1005 where the carrier tells none.
    """

    @property
    def subprotocol(self) -> Any: ...

    @property
    def close_code(self) -> int | None: ...

    async def send(self, frame: str | bytes) -> None: ...

    async def recv(self) -> str | bytes: ...

    @property
    def transport(self) -> Any:
        """Has ``abort()``: go away without a word."""


class Open(Protocol):
    """Opens a connection at the site's usual place; raises :class:`Refused` where that is refused by an answer.

    ``subprotocol`` is None for a seed connection; ``origin`` None for a client that is no browser; ``path`` another
    place. What the carrier can't send, it leaves out.
    """

    def __call__(
        self,
        site: Site,
        *,
        subprotocol: str | None,
        origin: str | None,
        headers: Mapping[str, str],
        path: str,
    ) -> AbstractAsyncContextManager[Wire]: ...


@dataclass(frozen=True, kw_only=True)
class Carrier:
    #: In the tests' names.
    name: str
    #: In the documentation.
    title: str
    #: The arguments after ``python`` that serve the site at this port.
    command: Callable[[int], Sequence[str]]
    open: Open
    #: Of FEATURES: what it can't do, and why, in words for the documentation.
    lacks: Mapping[str, str] = field(default_factory=dict)
    #: Of the server's process after a SIGTERM.
    exit_code: int = 0
    #: Where WebSockets are answered.
    path: str = "/ws/"
    #: Further environment of the server's process.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Errors of its own that it logs with a traceback.
    complains: tuple[str, ...] = ()
    #: A server that shuts down still opens connections, to refuse them.
    listens: bool = True
    #: One that shuts down still hears what is said on connections that are open.
    hears_to_the_end: bool = True

    def has(self, feature: str) -> bool:
        assert feature in FEATURES
        return feature not in self.lacks

    @asynccontextmanager
    async def connect(
        self,
        site: Site,
        *,
        seed: bool = False,
        subprotocol: str = SUBPROTOCOL,
        origin: str | None = None,
        headers: Mapping[str, str] | None = None,
        path: str | None = None,
    ) -> AsyncIterator[Peer]:
        """A connection, after its hello where it has one. Raises :class:`Refused`."""
        async with self.open(
            site,
            subprotocol=None if seed else subprotocol,
            origin=origin,
            headers=headers or {},
            path=path or self.path,
        ) as wire:
            peer = Peer(wire)
            if self.has("subprotocols") and not (seed and self.has("seed")):
                peer.hello = await peer.next()
            yield peer

    async def refusal(self, site: Site, **options: Any) -> tuple[int | None, int | None]:
        """The status with which a connection is refused, or the code with which it is closed at once."""
        try:
            async with self.connect(site, seed=True, **options) as peer:
                return None, await peer.close_code()
        except Refused as refused:
            return refused.status, None
