"""Socket.IO's own client in Python, and a server for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio

from tests.support.server import ServerThread
from wsrequest.asgi import get_asgi_application
from wsrequest.session.registry import registry
from wsrequest.transports.socketio import get_socketio_server

PATIENCE = 60


def new_server(**options: Any) -> ServerThread:
    application = socketio.ASGIApp(get_socketio_server(**options), get_asgi_application())
    return ServerThread(application=application).start()


class Client:
    def __init__(self, client: socketio.AsyncClient) -> None:
        self.socket = client
        self._told: list[tuple[str, tuple[Any, ...]]] = []
        self._news = asyncio.Event()
        client.on("*", self._hear)
        client.on("disconnect", self._left)
        self.left: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def ask(self, event: str, url: str | None = None, **message: Any) -> dict[str, Any]:
        if url is not None:
            message["url"] = url
        return await self.socket.call(event, message, timeout=PATIENCE)

    async def told(self, event: str) -> tuple[Any, ...]:
        """What the next event of this name brings."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for entry in self._told:
                    if entry[0] == event:
                        self._told.remove(entry)
                        return entry[1]
                self._news.clear()
                await self._news.wait()

    def heard(self, event: str) -> bool:
        return any(name == event for name, _ in self._told)

    async def _hear(self, event: str, *data: Any) -> None:
        self._told.append((event, data))
        self._news.set()

    async def _left(self, reason: str) -> None:
        if not self.left.done():
            self.left.set_result(reason)


@asynccontextmanager
async def at(
    server: Any,
    origin: str | None = "own",
    headers: dict[str, str] | None = None,
    refused: Callable[[dict[str, Any]], None] | None = None,
    hearing: Callable[[socketio.AsyncClient], Any] = Client,
    **options: Any,
) -> AsyncIterator[Any]:
    """A client at a server, whose address is its ``http``; ``hearing`` takes what is said to it."""
    client = socketio.AsyncClient(reconnection=False)
    sent = dict(headers or {})
    if origin is not None:
        sent["Origin"] = server.http if origin == "own" else origin
    try:
        opened = hearing(client)
        if refused is not None:
            client.on("connect_error", refused)
        await client.connect(
            server.http, transports=["websocket"], headers=sent, wait_timeout=PATIENCE, **options
        )
        yield opened
    finally:
        await client.disconnect()
        await client.eio.disconnect(abort=True)
        if client.eio.http is not None:
            await client.eio.http.close()


async def refusal(server: ServerThread, **options: Any) -> dict[str, Any]:
    """What the client is told of a connection that is refused."""
    told: list[dict[str, Any]] = []
    with pytest.raises(socketio.exceptions.ConnectionError):
        async with at(server, refused=told.append, **options):
            pass
    (said,) = told
    return said


async def gone(server: ServerThread) -> None:
    async with asyncio.timeout(PATIENCE):
        while registry.members:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)
