"""Where the views of :mod:`tests.support.doors` wait: the test sees who has come, and lets them go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PATIENCE = 20  # seconds after which a test that waits has failed


class Doorkeeper:
    def __init__(self) -> None:
        self.port = 0
        self._here: dict[str, asyncio.StreamWriter] = {}
        self._changed = asyncio.Condition()

    async def here(self, *names: str) -> None:
        """Wait until all of these have come."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: set(names) <= self._here.keys())

    def open(self) -> None:
        """Let everybody go on who is here."""
        for writer in self._here.values():
            writer.close()
        self._here.clear()

    async def admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = (await reader.readline()).decode().strip()
        async with self._changed:
            self._here[name] = writer
            self._changed.notify_all()


@asynccontextmanager
async def doorkeeper(port: int = 0) -> AsyncIterator[Doorkeeper]:
    keeper = Doorkeeper()
    async with await asyncio.start_server(keeper.admit, "127.0.0.1", port) as server:
        keeper.port = server.sockets[0].getsockname()[1]
        try:
            yield keeper
        finally:
            keeper.open()
