"""What is compared, and what must come out of it.

A contender is a way to ask a server for a view. All of them are asked one after the other in each
round, so that a ratio is always between neighbours in time; a target is held against the median of
these ratios.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.load import HTTPLoad, Load, SocketLoad

SOCKET, DJANGO, GRANIAN, BARE, FLOOR = "socket", "django-asgi", "granian-wsgi", "bare", "floor"

NAMES = {
    SOCKET: "one WebSocket",
    DJANGO: "Django ASGI, HTTP",
    GRANIAN: "granian WSGI, HTTP",
    BARE: "bare uvicorn socket",
    FLOOR: "`WSGIHandler` in a loop (the floor)",
}
VIEWS = {
    "/empty/": "does nothing",
    "/empty-async/": "does nothing, async",
    "/row/": "one ORM query",
    "/list/": "DRF list of 20",
}


@dataclass(frozen=True)
class Contender:
    """One row of the report. ``load`` is None for the floor, which has no server."""

    server: str
    path: str
    in_flight: int = 1
    #: Each message in a frame of its own, where a client would put into one frame what it has to say at one moment.
    apart: bool = False

    @property
    def name(self) -> str:
        return NAMES[self.server] + (", a frame for each message" if self.apart else "")

    @property
    def load(self) -> Load | None:
        if self.server == FLOOR:
            return None
        if self.server in (SOCKET, BARE):
            return SocketLoad(self.path, self.in_flight, arrays=not self.apart)
        return HTTPLoad(self.path, self.in_flight)


@dataclass(frozen=True)
class Target:
    """``over / under``, of requests per second or of CPU per request, and what it must be."""

    claim: str
    measure: str
    over: Contender
    under: Contender
    #: Without either bound it is no target, but told for comparison.
    at_least: float | None = None
    at_most: float | None = None

    def met(self, ratio: float) -> bool:
        if self.at_least is not None:
            return ratio >= self.at_least
        return self.at_most is None or ratio <= self.at_most

    @property
    def bound(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return f"≤ {self.at_most:g}" if self.at_most is not None else ""


def contenders() -> Iterator[Contender]:
    """Yield the rows; those that are compared stand next to each other."""
    for in_flight in (16, 64):
        yield Contender(SOCKET, "/empty-async/", in_flight)
    yield Contender(FLOOR, "/empty/")
    for in_flight in (16, 64):
        yield Contender(SOCKET, "/empty/", in_flight, apart=True)
    for server in (SOCKET, GRANIAN, DJANGO):
        for in_flight in (16, 64):
            yield Contender(server, "/empty/", in_flight)
    for in_flight in (16, 64):
        yield Contender(DJANGO, "/empty-async/", in_flight)
    for in_flight in (16, 64):
        yield Contender(BARE, "/empty/", in_flight)
    for server in (SOCKET, GRANIAN, DJANGO):
        yield Contender(server, "/empty/", 1)
    for path in ("/row/", "/list/"):
        yield Contender(FLOOR, path)
        for server in (SOCKET, GRANIAN, DJANGO):
            yield Contender(server, path, 16)


def targets() -> Iterator[Target]:
    """Yield what the project promises of its speed."""
    floor = Contender(FLOOR, "/empty/")
    for in_flight in (16, 64):
        socket = Contender(SOCKET, "/empty/", in_flight)
        django = Contender(DJANGO, "/empty/", in_flight)
        granian = Contender(GRANIAN, "/empty/", in_flight)
        yield Target(f"requests/s, {in_flight} in flight: socket / Django ASGI", "rate",
                     socket, django, at_least=10)  # fmt: skip
        yield Target(f"requests/s, {in_flight} in flight: socket / granian WSGI", "rate",
                     socket, granian, at_least=1)  # fmt: skip
        yield Target(f"CPU, {in_flight} in flight: socket / floor", "cpu",
                     socket, floor, at_most=1.35)  # fmt: skip
        apart = Contender(SOCKET, "/empty/", in_flight, apart=True)
        yield Target(f"requests/s, {in_flight} in flight, a frame for each message: socket / Django ASGI",
                     "rate", apart, django)  # fmt: skip
    for in_flight in (16, 64):
        socket = Contender(SOCKET, "/empty-async/", in_flight)
        django = Contender(DJANGO, "/empty-async/", in_flight)
        yield Target(f"CPU, async view, {in_flight} in flight: socket / floor", "cpu",
                     socket, floor, at_most=2)  # fmt: skip
        yield Target(f"CPU, async view, {in_flight} in flight: Django ASGI / socket", "cpu",
                     django, socket, at_least=6)  # fmt: skip
