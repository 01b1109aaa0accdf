"""Thousands of connections that say nothing, from many of this machine's own addresses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import msgspec

from benchmarks.clients import (
    CLOSE,
    TEXT,
    Answer,
    BadAnswerError,
    SocketConnection,
    Tally,
    frame,
)
from benchmarks.load import open_socket

#: An address of 127.0.0.0/8 has some 28,000 ports, and MAX_CONNECTIONS_PER_ADDRESS is 1,000.
PER_ADDRESS = 500
#: Opened at the same time.
AT_ONCE = 50
#: Well within the server's PING_INTERVAL of 20 s.
HEARTBEAT = 12.0
PATIENCE = 60.0
#: For what the server does after its last answer.
PAUSE = 0.5
PING = frame(TEXT, b'{"ping":1}')


class Said(msgspec.Struct):
    """An answer, or the echo of a ping."""

    id: int = 0
    status: int = 0
    data: msgspec.Raw = msgspec.Raw()
    pong: int | None = None


decode = msgspec.json.Decoder(list[Said]).decode


class IdleConnection(SocketConnection):
    """It asks when it is told to, and says that it is alive."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(tally, "/empty/", 1, arrays=False)
        self.gone = asyncio.get_running_loop().create_future()
        self._leaving = False

    def text(self, payload: bytes) -> list[int]:
        if b'"pong"' not in payload:
            return super().text(payload)
        for message in decode(payload if payload[0] == ord("[") else b"[" + payload + b"]"):
            if message.pong is None:
                self.take(Answer(message.id, message.status, message.data))
        return []

    def beat(self) -> None:
        self.transport.write(PING)

    def leave(self) -> None:
        """Begin the closing handshake; ``gone`` is done when the server has closed."""
        self._leaving = True
        self.transport.write(frame(CLOSE, (1000).to_bytes(2)))

    def closed(self, payload: bytes) -> None:
        if not self._leaving:
            super().closed(payload)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._leaving:
            self.gone.set_result(None)
        else:
            super().connection_lost(exc)


@dataclass
class Crowd:
    """Connections to one server."""

    port: int
    members: list[IdleConnection] = field(default_factory=list)

    async def gather(self, number: int) -> None:
        """Open so many connections."""
        tally = Tally()
        for start in range(0, number, AT_ONCE):
            batch = range(start, min(start + AT_ONCE, number))
            self.members += await asyncio.gather(*(self._open(tally, place) for place in batch))

    async def _open(self, tally: Tally, place: int) -> IdleConnection:
        address = f"127.0.1.{1 + place // PER_ADDRESS}"
        return await open_socket(lambda: IdleConnection(tally), self.port, address)

    async def ask(self) -> int:
        """Let each ask for the empty view, as fast as they are answered; return how many were."""
        tally = Tally(budget=len(self.members))
        for member in self.members:
            member.tally = tally
            member.begin()
        await asyncio.wait_for(tally.drained, PATIENCE)
        return tally.answered

    async def leave(self) -> None:
        """Close them all."""
        for member in self.members:
            member.leave()
        await asyncio.wait_for(asyncio.gather(*(member.gone for member in self.members)), PATIENCE)
        self.members = []

    async def leave_one(self) -> None:
        """Make room for one."""
        one = self.members.pop()
        one.leave()
        await asyncio.wait_for(one.gone, PATIENCE)

    async def another_is_refused(self) -> bool:
        """Say whether one more connection gets a 503."""
        try:
            member = await open_socket(lambda: IdleConnection(Tally()), self.port)
        except BadAnswerError as refusal:
            return " 503 " in str(refusal)
        member.transport.abort()
        return False

    async def beat(self) -> None:
        """Say now and then, for all of them, that they are alive."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            for member in self.members:
                member.beat()


@asynccontextmanager
async def crowd(port: int) -> AsyncIterator[Crowd]:
    """Give a crowd whose members stay alive."""
    people = Crowd(port)
    beating = asyncio.create_task(people.beat())
    try:
        yield people
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
        for member in people.members:
            member.transport.abort()


@dataclass
class Occupation:
    """The server's memory, in bytes, before the crowd came and at each step."""

    connections: int
    base: int
    opened: int = 0
    answered: int = 0
    left: int = 0
    again: int = 0
    #: Python's own blocks of memory, before, with all of them open, and when they were gone.
    blocks: list[int] = field(default_factory=list)
    refused: bool = False

    def each(self, step: str) -> float:
        """Return what a connection takes above the server's own."""
        bytes_then: int = getattr(self, step)
        return (bytes_then - self.base) / self.connections

    @property
    def kept(self) -> float:
        """The share of the blocks that they took that is still in use when all are gone."""
        before, during, after = self.blocks
        return (after - before) / (during - before)

    @property
    def grown(self) -> float:
        """What as many connections took the second time, beyond what was there from the first, as a share."""
        return (self.again - self.answered) / (self.answered - self.base)


async def occupy(
    port: int,
    number: int,
    resident: Callable[[], int],
    *,
    warm_up: int = 10,
    counted: bool = True,
    limit: int | None = None,
) -> Occupation:
    """Open so many connections, let each ask once, and weigh the server all along.

    A server without Django can't be asked how much it has in use, and is not ``counted``. With ``limit`` they are also
    closed, and opened again; where they are as many as that, one more must be refused.
    """
    async with crowd(port) as people:
        await people.gather(warm_up)
        await people.ask()
        await people.leave()
        blocks = [await collect(port)] if counted else []
        await asyncio.sleep(PAUSE)
        found = Occupation(number, base=resident(), blocks=blocks)
        await people.gather(number)
        await asyncio.sleep(PAUSE)
        found.opened = resident()
        if limit == number:
            found.refused = await people.another_is_refused()
        await people.ask()
        await asyncio.sleep(PAUSE)
        found.answered = resident()
        if limit is None:
            return found
        await people.leave_one()
        blocks.append(await collect(port))
        await people.leave()
        blocks.append(await collect(port))
        await asyncio.sleep(PAUSE)
        found.left = resident()
        await people.gather(number)
        await people.ask()
        await asyncio.sleep(PAUSE)
        found.again = resident()
        return found


async def collect(port: int) -> int:
    """Let the server free what it can, and return how many blocks of memory it has in use."""
    tally = Tally(budget=1)
    connection = await open_socket(
        lambda: SocketConnection(tally, "/collect/", 1, arrays=False), port
    )
    connection.begin()
    try:
        await asyncio.wait_for(tally.drained, PATIENCE)
    finally:
        connection.transport.abort()
    blocks: int = json.loads(tally.body or b"")["blocks"]
    return blocks
