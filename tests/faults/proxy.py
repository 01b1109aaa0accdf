"""A TCP proxy on the test's own loop, which cuts, stalls and delays."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Proxy:
    """Between whoever connects to ``port`` (by TLS, where there is a context for it) and a server on this machine."""

    def __init__(self, target: int, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self._tls = tls
        self.port = 0
        self.delay = 0.0
        #: Gives the bytes that a connection may bring its client before it is cut; None for no limit.
        self.allowance: Callable[[], int] | None = None
        self.cuts = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.flow()
            self.cut()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def stall(self) -> None:
        """Nothing gets through, and nobody is told: a black hole."""
        self._flows.clear()

    def flow(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError):
                there, back = await asyncio.open_connection("127.0.0.1", self.target)
                left = None if self.allowance is None else self.allowance()
                await asyncio.gather(self._pass(reader, back), self._pass(there, writer, left))
        except asyncio.CancelledError:
            pass  # by running(), and the streams of Python 3.11 complain of a task that was cancelled
        finally:
            writer.close()  # where nobody listens there, too
            self._tasks.discard(task)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None = None
    ) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(2**16):
                    if self.delay:
                        await asyncio.sleep(self.delay)
                    await self._flows.wait()
                    writer.write(data[:left])
                    await writer.drain()
                    if left is not None:
                        left -= len(data)
                        if left <= 0:
                            self.cuts += 1
                            break
        finally:
            self._writers.discard(writer)
            writer.close()
