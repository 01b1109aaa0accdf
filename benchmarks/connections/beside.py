"""The fast requests that are timed, and what goes on beside them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks import processes
from benchmarks.clients import TEXT, Answer, BadAnswerError, Connection, SocketConnection, Tally
from benchmarks.clients import frame as framed
from benchmarks.load import open_socket


class AccompaniedConnection(SocketConnection):
    """Keeps requests for another view under way on the same socket; these are not timed."""

    def __init__(self, tally: Tally, path: str, in_flight: int, beside: Sequence[str]) -> None:
        super().__init__(tally, path, in_flight, arrays=False)
        self._beside = {
            slot: framed(TEXT, msgspec.json.encode({"id": slot, "url": url}))
            for slot, url in enumerate(beside, in_flight + 1)
        }

    def begin(self) -> None:
        self.transport.write(b"".join(self._beside.values()))
        super().begin()

    def take(self, answer: Answer) -> bool:
        if answer.id not in self._beside:
            return super().take(answer)
        if answer.status != 200:
            raise BadAnswerError(f"status {answer.status}: {answer.data!r}")
        self.transport.write(self._beside[answer.id])
        return False


@dataclass(frozen=True)
class Accompanied:
    """A load of fast requests on one socket, with others beside them."""

    path: str
    in_flight: int
    beside: Sequence[str] = ()

    async def start(self, port: int, tally: Tally) -> Sequence[Connection]:
        connection = await open_socket(
            lambda: AccompaniedConnection(tally, self.path, self.in_flight, self.beside), port
        )
        connection.begin()
        return [connection]


class PacedConnection(SocketConnection):
    """Asks at its own pace, one request at a time: a client that leaves the server room."""

    def __init__(self, tally: Tally, path: str, pause: float) -> None:
        super().__init__(tally, path, 1, arrays=False)
        self._pause = pause

    def take(self, answer: Answer) -> bool:
        self.tally.answer(answer.status, bytes(answer.data), self._sent_at[answer.id])
        asyncio.get_running_loop().call_later(self._pause, self._again)
        return False

    def _again(self) -> None:
        if not self.transport.is_closing() and self.tally.may_send():
            self.ask([1])


@dataclass(frozen=True)
class Paced:
    """A load of so many connections that each ask, and pause after each answer."""

    path: str
    sockets: int
    pause: float

    async def start(self, port: int, tally: Tally) -> Sequence[Connection]:
        connections = [await self._connect(port, tally) for _ in range(self.sockets)]
        for number, connection in enumerate(connections):
            # Not all at the same moment.
            asyncio.get_running_loop().call_later(
                self.pause * number / self.sockets, connection.begin
            )
        return connections

    async def _connect(self, port: int, tally: Tally) -> PacedConnection:
        return await open_socket(lambda: PacedConnection(tally, self.path, self.pause), port)


@dataclass(frozen=True)
class Flooded:
    """What a flood came to: the answers that it had, and how often it was closed (4029)."""

    answered: int
    refused: int
    closed: int


@contextmanager
def flood(port: int, path: str, core: int, log: Path) -> Iterator[list[Flooded]]:
    """Flood the server meanwhile, from a process of its own; what it came to is in the list then."""
    command = ["-m", "benchmarks.connections.flood", str(port), path]
    process = processes.start(command, core=core, env={}, log=log, piped=True)
    assert process.stdout is not None
    came_to: list[Flooded] = []
    try:
        if process.stdout.readline() != "flooding\n":
            raise RuntimeError(f"No flood:\n{log.read_text()}")
        yield came_to
        told, _ = process.communicate("stop\n", timeout=10)
        came_to.append(Flooded(**json.loads(told)))
    finally:
        if process.poll() is None:
            processes.stop(process)
    if process.returncode:
        sys.exit(f"The flood ended with {process.returncode}:\n{log.read_text()}")
