"""A session over a transport in memory: for what depends on the order of single steps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from django.db import connections

from wsrequest.conf import get_settings
from wsrequest.lifecycle.runner import PoolRunner
from wsrequest.lifecycle.threads import WorkerPool
from wsrequest.lifecycle.views import any_view_is_async
from wsrequest.protocol.handshake import Handshake
from wsrequest.session.session import Session

PATIENCE = 20


class MemoryTransport:
    """The transport's seam, with the peer's side of it: `push`, `pull`, `leave`, and `stall`; an `error` that is set
    is what the next `send` raises."""

    def __init__(self) -> None:
        self._incoming: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._outgoing: asyncio.Queue[str | bytes] = asyncio.Queue()
        self._flows = asyncio.Event()
        self._flows.set()
        self._closes = asyncio.Event()
        self._closes.set()
        self._gone = False
        self.error: Exception | None = None
        self.closed_with: int | None = None
        self.peer_code: int | None = None
        self.reads = 0

    # The seam.

    async def receive(self) -> str | bytes | None:
        self.reads += 1
        return await self._incoming.get()

    def frame_in(self, heard: str | bytes | None) -> str | bytes | None:
        return heard

    async def send(self, frame: str | bytes) -> None:
        await self._flows.wait()
        if self._gone:
            raise ConnectionResetError
        if self.error is not None:
            raise self.error
        self._outgoing.put_nowait(frame)

    async def close(self, code: int) -> None:
        await self._closes.wait()
        self.closed_with = code

    # The peer.

    def push(self, *messages: Any) -> None:
        """One frame: a message, or an array of them."""
        self._incoming.put_nowait(json.dumps(messages[0] if len(messages) == 1 else messages))

    async def pull(self) -> Any:
        """The next frame, decoded."""
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self._outgoing.get())

    def pulled(self) -> list[Any]:
        """The messages that have come, without waiting for more."""
        messages: list[Any] = []
        while not self._outgoing.empty():
            frame = json.loads(self._outgoing.get_nowait())
            messages += frame if isinstance(frame, list) else [frame]
        return messages

    def leave(self) -> None:
        self._gone = True
        self._incoming.put_nowait(None)

    def stall(self) -> None:
        """Do not read any more: the next `send` waits."""
        self._flows.clear()

    def stall_closing(self) -> None:
        self._closes.clear()

    def flow(self) -> None:
        self._flows.set()

    @property
    def unread(self) -> int:
        """Frames that the peer has sent and the session has not looked at."""
        return self._incoming.qsize()


class MemoryConnection:
    """A running session, its transport, and the pool of `workers` threads behind it."""

    def __init__(
        self, pool: WorkerPool, runner: PoolRunner | None = None, **handshake: Any
    ) -> None:
        self.pool = pool
        self.runner = runner or PoolRunner(pool, asyncio.get_running_loop())
        self.transport = MemoryTransport()
        facts = {"path": "/ws/", "headers": ((b"host", b"testserver"),)} | handshake
        self.session = Session(
            Handshake(**facts),
            self.transport,
            self.runner,
            get_settings(),
        )
        self.task = asyncio.get_running_loop().create_task(self.session.run())

    async def leave(self) -> None:
        """The peer goes away, and the session with it."""
        self.transport.leave()
        async with asyncio.timeout(PATIENCE):
            await self.task


@asynccontextmanager
async def connection(
    *,
    workers: int = 4,
    pool: WorkerPool | None = None,
    beside: MemoryConnection | None = None,
    **handshake: Any,
) -> AsyncIterator[MemoryConnection]:
    """A session that speaks the subprotocol unless the handshake says otherwise; its hello has been read.

    It has a pool of its own unless it is given another's, and stands for a process of its own unless there is one
    ``beside`` which it is.
    """
    await asyncio.to_thread(any_view_is_async)  # as the ASGI application does it
    handshake.setdefault("subprotocols", ("wsrequest.v1.json",))
    if beside is not None:
        pool = beside.pool
    own = WorkerPool(workers, on_exit=connections.close_all) if pool is None else pool
    try:
        opened = MemoryConnection(own, beside and beside.runner, **handshake)
        if handshake["subprotocols"]:
            assert (await opened.transport.pull())["control"] == "hello"
        yield opened
        if not opened.task.done():
            await opened.leave()
    finally:
        if pool is None:
            await asyncio.to_thread(own.close, PATIENCE)


async def settle() -> None:
    """Let everything that can run on this loop run."""
    for _ in range(50):
        await asyncio.sleep(0)
