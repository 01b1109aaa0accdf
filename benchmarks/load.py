"""The load: closed loops, in which each request in flight is asked again as soon as it is answered."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from benchmarks.clients import BadAnswerError, Connection, HTTPConnection, SocketConnection, Tally
from benchmarks.samples import Sample

PATIENCE = 30.0

S = TypeVar("S", bound=SocketConnection)


class Load(Protocol):
    """How a contender is asked."""

    async def start(self, port: int, tally: Tally) -> Sequence[Connection]: ...


async def open_socket(make: Callable[[], S], port: int, address: str = "127.0.0.1") -> S:
    """Open a WebSocket from one of this machine's own addresses."""
    _, connection = await asyncio.get_running_loop().create_connection(
        make, "127.0.0.1", port, local_addr=(address, 0)
    )
    connection.open(port)
    await asyncio.wait_for(connection.opened, PATIENCE)
    return connection


class SocketLoad:
    """Requests over ``sockets`` WebSockets, ``in_flight`` on each."""

    def __init__(self, path: str, in_flight: int, *, arrays: bool = False, sockets: int = 1):
        self.path, self.in_flight, self.arrays, self.sockets = path, in_flight, arrays, sockets

    async def start(self, port: int, tally: Tally) -> Sequence[Connection]:
        connections = [await self._connect(port, tally) for _ in range(self.sockets)]
        for connection in connections:
            connection.begin()
        return connections

    async def _connect(self, port: int, tally: Tally) -> SocketConnection:
        return await open_socket(
            lambda: SocketConnection(tally, self.path, self.in_flight, arrays=self.arrays), port
        )


class HTTPLoad:
    """Requests over as many connections as are to be in flight."""

    def __init__(self, path: str, in_flight: int):
        self.path, self.in_flight = path, in_flight

    async def start(self, port: int, tally: Tally) -> Sequence[Connection]:
        loop, connections = asyncio.get_running_loop(), []
        for _ in range(self.in_flight):
            _, connection = await loop.create_connection(
                lambda: HTTPConnection(tally, self.path, port), "127.0.0.1", port
            )
            connections.append(connection)
        for connection in connections:
            connection.ask()
        return connections


async def measure(
    load: Load, port: int, server_cpu: Callable[[], float], *, warm_up: float, seconds: float
) -> Sample:
    """Run ``load`` for a while, and count what happens after the warm-up."""
    tally = Tally()
    connections = await load.start(port, tally)
    gc.disable()
    try:
        await _run_for(warm_up, tally)
        first, began = tally.answered, time.perf_counter()
        server, generator = server_cpu(), time.process_time()
        await _run_for(seconds, tally)
        last, ended = tally.answered, time.perf_counter()
        server, generator = server_cpu() - server, time.process_time() - generator
        tally.stop()
        await asyncio.wait_for(tally.drained, PATIENCE)
    finally:
        gc.enable()
        for connection in connections:
            connection.transport.abort()
    if last == first or tally.body is None:
        raise BadAnswerError(f"Nothing was answered within {seconds} s.")
    return Sample(
        requests=last - first,
        seconds=ended - began,
        server_cpu=server,
        generator_cpu=generator,
        latencies=tally.latencies[first:last],
        body=tally.body,
    )


async def count(load: Load, port: int, requests: int) -> Tally:
    """Make so many requests, however they are answered, and return the tally.

    The connections stay open until the end, as a client's do.
    """
    tally = Tally(budget=requests, lenient=True)
    connections = await load.start(port, tally)
    try:
        await asyncio.wait_for(tally.drained, PATIENCE)
    finally:
        for connection in connections:
            connection.transport.abort()
    return tally


async def _run_for(seconds: float, tally: Tally) -> None:
    """Let the load run; a failure ends it early, with its error."""
    done, _ = await asyncio.wait({tally.drained}, timeout=seconds)
    if done:
        await tally.drained
        raise BadAnswerError("The load ended early.")
