"""A Tornado server: its WebSockets, and SockJS by each of its ways, with a client that knows only what it needs."""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed

from tests.transports.shared.carrier import Carrier, Open, Site, Wire
from tests.transports.shared.carriers.asgi import open_websocket

PATIENCE = 60

#: SockJS' frames that a client which polls keeps for its test.
UNREAD = 4

GONE = 'c[1006, ""]'

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # a client makes one each time, which is slow


class SockJSWire:
    """The client's end, over anything that brings SockJS' frames and takes lists of messages."""

    def __init__(
        self,
        frames: AsyncIterator[str],
        say: Callable[[str], Awaitable[None]],
        abort: Callable[[], None],
        subprotocol: str | None,
    ) -> None:
        self.subprotocol = subprotocol
        self.close_code: int | None = None
        self.transport = SimpleNamespace(abort=abort)
        self._frames = frames
        self._say = say
        self._arrived: deque[str] = deque()

    async def greet(self) -> None:
        assert await anext(self._frames) == "o"

    async def send(self, frame: str | bytes) -> None:
        assert isinstance(frame, str)
        await self._say(json.dumps([frame]))

    async def recv(self) -> str:
        while not self._arrived:
            frame = await anext(self._frames, GONE)
            if frame[0] == "c":
                self.close_code = json.loads(frame[1:])[0]
                raise ConnectionClosed(None, None)
            if frame[0] == "a":
                self._arrived.extend(json.loads(frame[1:]))
        return self._arrived.popleft()


@asynccontextmanager
async def sockjs_websocket(base: str, site: Site, options: Any) -> AsyncIterator[Any]:
    async with open_websocket(site, subprotocol=None, path=f"{base}/websocket", **options) as wire:

        async def frames() -> AsyncIterator[str]:
            try:
                while True:
                    frame = await wire.recv()
                    assert isinstance(frame, str)
                    yield frame
            except ConnectionClosed:
                return

        yield frames(), wire.send, wire.transport.abort


@asynccontextmanager
async def sockjs_http(
    base: str,
    site: Site,
    options: Any,
    heard: Callable[[httpx.AsyncClient], AsyncGenerator[str]],
) -> AsyncIterator[Any]:
    sent = dict(options["headers"])
    if options["origin"] is not None:
        sent["Origin"] = options["origin"]
    async with httpx.AsyncClient(
        base_url=f"{site.http}{base}",
        headers=sent,
        timeout=PATIENCE,
        trust_env=False,
        verify=NO_TLS,
    ) as client:

        async def say(text: str) -> None:
            response = await client.post("/xhr_send", content=text)
            assert response.status_code in (204, 404), response.text

        leaving: list[asyncio.Task[None]] = []

        async with aclosing(heard(client)) as frames:
            try:
                yield frames, say, lambda: leaving.append(asyncio.create_task(frames.aclose()))
            finally:
                await asyncio.gather(*leaving)


@asynccontextmanager
async def sockjs_streaming(*where: Any) -> AsyncIterator[Any]:
    async with sockjs_http(*where, streamed) as opened:
        yield opened


@asynccontextmanager
async def sockjs_polling(*where: Any) -> AsyncIterator[Any]:
    async with sockjs_http(*where, polled) as opened:
        yield opened


async def polled(client: httpx.AsyncClient) -> AsyncGenerator[str]:
    """It asks again at once, as sockjs-client does, whether or not its test reads: who is late is taken for gone. It
    stops only where too much is unread."""
    arrived: asyncio.Queue[str] = asyncio.Queue(UNREAD)

    async def poll() -> None:
        frame = ""
        while not frame.startswith("c"):
            frame = GONE
            with suppress(httpx.HTTPError, RuntimeError):  # RuntimeError: the client is closed
                frame = (await client.post("/xhr")).raise_for_status().text.rstrip()
            await arrived.put(frame)

    polling = asyncio.create_task(poll())
    try:
        while True:
            yield await arrived.get()
    finally:
        polling.cancel()
        # Between two polls nobody is seen to go. Who streams is there as soon as the answer begins.
        with suppress(httpx.HTTPError):
            async with client.stream("POST", "/xhr_streaming"):
                pass


async def streamed(client: httpx.AsyncClient) -> AsyncGenerator[str]:
    """It ends from time to time, and is asked for again."""
    try:
        while True:
            async with client.stream("POST", "/xhr_streaming") as response:
                if response.status_code != 200:
                    return
                async for line in response.aiter_lines():
                    if line.strip("h"):
                        yield line
    except (httpx.HTTPError, httpx.StreamError, RuntimeError):
        return


def opens(connected: Callable[..., Any]) -> Open:
    @asynccontextmanager
    async def opened(
        site: Site,
        *,
        subprotocol: str | None,
        origin: str | None,
        headers: Mapping[str, str],
        path: str,
    ) -> AsyncIterator[Wire]:
        name = path if subprotocol is None else f"{path}-v1"
        base = f"{name}/000/{secrets.token_hex(8)}"
        spoken = None if subprotocol is None else "wsrequest.v1.json"
        options = {"origin": origin, "headers": headers}
        async with connected(base, site, options) as (frames, say, abort):
            wire = SockJSWire(frames, say, abort, spoken)
            await wire.greet()
            yield wire

    return opened


WEBSOCKET = Carrier(
    name="tornado",
    title="Tornado",
    command=lambda port: ("-m", "tests.transports.shared.site.tornado", str(port)),
    open=open_websocket,
    lacks={"http": "it is a server of its own: Django answers no HTTP in it"},
    exit_code=-15,
)


def over_sockjs(name: str, title: str, connected: Callable[..., Any]) -> Carrier:
    return replace(
        WEBSOCKET,
        name=f"sockjs-{name}",
        title=f"SockJS, {title}",
        path="/sockjs",
        open=opens(connected),
        lacks={
            **WEBSOCKET.lacks,
            "binary": "SockJS carries text",
            "status": "SockJS opens a connection before anybody is asked: it is closed at once",
        },
    )


CARRIERS = (
    WEBSOCKET,
    over_sockjs("websocket", "websocket", sockjs_websocket),
    over_sockjs("streaming", "xhr-streaming", sockjs_streaming),
    over_sockjs("polling", "xhr-polling", sockjs_polling),
)
