"""A small client for the tests, asynchronous and without cleverness."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websockets_connect
from websockets.exceptions import ConnectionClosed

PATIENCE = 20  # seconds after which a test that waits has failed
SUBPROTOCOL = "wsrequest.v1.json"
MSGPACK = "wsrequest.v1.msgpack"

Message = dict[str, Any]

#: By which ada logs in, in :mod:`tests.project`.
LOG_IN: Message = {
    "url": "/log-in/",
    "method": "POST",
    "data": {"name": "ada", "word": "secret"},
    "headers": {"content-type": "application/x-www-form-urlencoded"},
}


class Peer:
    """The client's end of a connection. `frames` keeps what came, `hello` what came first."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[str | bytes] = []
        self.hello: Message | None = None
        self._arrived: deque[Message] = deque()

    async def send(self, *messages: Any) -> None:
        """One frame: the message, or an array of them."""
        value = messages[0] if len(messages) == 1 else messages
        packs = self.socket.subprotocol == MSGPACK
        await self.send_text(msgspec.msgpack.encode(value) if packs else json.dumps(value))

    async def send_text(self, frame: str | bytes) -> None:
        await self.socket.send(frame)

    async def next(self) -> Message:
        """The next message, whatever frame it came in."""
        while not self._arrived:
            await self._read_frame()
        return self._arrived.popleft()

    async def first(self, wanted: Callable[[Message], bool]) -> Message:
        """The first message of this kind; those before it stay."""
        seen = 0
        while True:
            for index, message in list(enumerate(self._arrived))[seen:]:
                if wanted(message):
                    del self._arrived[index]
                    return message
            seen = len(self._arrived)
            await self._read_frame()

    async def answer(self, id: int | str) -> Message:
        """The next message that bears this id."""
        return await self.first(lambda message: message.get("id") == id)

    async def request(self, url: str, *, id: int | str = 1, **message: Any) -> Message:
        await self.send({"id": id, "url": url, **message})
        return await self.answer(id)

    async def plain(self, url: str, **message: Any) -> Message:
        """A request without an id, and the next message."""
        await self.send({"url": url, **message})
        return await self.next()

    async def still_answers(self) -> None:
        """A good message is answered, and nothing came before its answer."""
        await self.send({"ping": 4711})
        assert await self.next() == {"pong": 4711}

    async def close_code(self) -> int:
        """Wait for the server's close, and read its code."""
        async with asyncio.timeout(PATIENCE):
            try:
                while True:
                    self.frames.append(await self.socket.recv())
            except ConnectionClosed:
                assert self.socket.close_code is not None
                return self.socket.close_code

    def abort(self) -> None:
        """Go away without a word, as a phone in a tunnel does."""
        self.socket.transport.abort()

    async def _read_frame(self) -> None:
        async with asyncio.timeout(PATIENCE):
            frame = await self.socket.recv()
        self.frames.append(frame)
        packed = self.socket.subprotocol == MSGPACK
        value = msgspec.msgpack.decode(frame) if packed else json.loads(frame)  # type: ignore[arg-type]
        self._arrived.extend(value if isinstance(value, list) else [value])


@asynccontextmanager
async def connect(
    url: str,
    *,
    seed: bool = False,
    origin: str | None = None,
    headers: dict[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[Peer]:
    """A connection, after its hello; with `seed` one without a subprotocol, as in 2014."""
    arguments: dict[str, Any] = {
        "compression": None,
        "max_size": None,
        "ping_interval": None,
        "proxy": None,
        "subprotocols": None if seed else [SUBPROTOCOL],
    }
    arguments |= {"origin": origin, "additional_headers": headers}
    async with websockets_connect(url, **arguments | options) as socket:
        peer = Peer(socket)
        if not seed:
            peer.hello = await peer.next()
        yield peer
