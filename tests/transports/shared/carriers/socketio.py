"""Socket.IO, by its client in Python: what the suite says and hears as messages goes as events."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import socketio
from websockets.exceptions import ConnectionClosed

from tests.support.client import SUBPROTOCOL, Message
from tests.transports.shared.carrier import Refused, Site, Wire
from tests.transports.shared.carriers.asgi import CARRIERS as ASGI
from tests.transports.socketio_client import at

#: Events that tell of the connection itself.
CONTROLS = frozenset(["hello", "goaway"])


class SocketIOWire:
    """The client's end.

    A request is an event with an acknowledgement, and "cancel" is ``unsubscribe``: what has been answered has ended as
    soon as that is acknowledged. Socket.IO's pings are its own, so that a "ping" is a request like others.
    """

    def __init__(self, client: socketio.AsyncClient) -> None:
        self.close_code: int | None = None
        self.subprotocol = SUBPROTOCOL
        self.transport = SimpleNamespace(abort=self._abort)
        self._client = client
        self._code = 1005
        self._heard: asyncio.Queue[Message | None] = asyncio.Queue()
        #: By the suite's ids, what has been asked for; by the server's, what the suite calls them.
        self._urls: dict[Any, Any] = {}
        self._names: dict[int, Any] = {}
        client.on("*", self._hear)
        client.on("disconnect", self._left)

    async def send(self, frame: str | bytes) -> None:
        said = json.loads(frame)
        for message in said if isinstance(said, list) else [said]:
            await self._say(message)

    async def recv(self) -> str:
        message = None if self.close_code is not None else await self._heard.get()
        if message is None:
            self.close_code = self._code
            raise ConnectionClosed(None, None)
        return json.dumps(message)

    async def _say(self, message: Any) -> None:
        if not isinstance(message, dict) or not isinstance(message.get("method", ""), str):
            raise ValueError("Nothing that can be an event")
        if "ping" in message:
            pong = {"pong": message["ping"]}
            await self._emit("head", {"url": "/hello/"}, lambda _: self._heard.put_nowait(pong))
        elif "cancel" in message:
            await self._cancel(message["cancel"])
        else:
            named = {key: message[key] for key in ("id",) if key in message}
            self._urls[message.get("id")] = message.get("url")
            rest = {key: value for key, value in message.items() if key not in ("id", "method")}
            await self._emit(
                message.get("method", "GET").lower(),
                rest | {"stream": True},
                lambda answer: self._answered(named, answer),
            )

    async def _cancel(self, name: Any) -> None:
        """By its url what has not been answered, since it has no id before."""
        ids = [key for key, value in self._names.items() if value == name]
        end = {"id": name, "end": True, "status": 499, "data": {"code": "cancelled"}}

        def ended(answer: dict[str, Any]) -> None:
            assert answer["statusCode"] == 204
            if ids:
                del self._names[ids[0]]
                self._heard.put_nowait(end)

        await self._emit("unsubscribe", {"id": ids[0]} if ids else {"url": self._urls[name]}, ended)

    async def _emit(self, event: str, message: Message, acknowledged: Any) -> None:
        try:
            await self._client.emit(event, message, callback=acknowledged)
        except socketio.exceptions.SocketIOError:
            raise ConnectionClosed(None, None) from None

    def _answered(self, named: Message, answer: dict[str, Any]) -> None:
        message = {**named, "status": answer["statusCode"], "headers": answer["headers"]}
        message |= {key: answer[key] for key in ("cookies", "subscription") if key in answer}
        if "stream" in answer:
            message["more"] = True
        elif answer["body"] is not None:
            message |= valued("data", answer["body"])
        for about in (answer.get("stream"), answer.get("subscription")):
            if about is not None:
                self._names[about["id"]] = named.get("id")
        self._heard.put_nowait(message)

    def _hear(self, event: str, data: Any, about: Message | None = None) -> None:
        if event == "closing":
            self._code = data["code"]
        elif about is None:
            kind = "control" if event in CONTROLS else "event"
            self._heard.put_nowait({kind: event, "data": data})
        elif (name := self._names.get(about["id"], self)) is not self:
            self._heard.put_nowait(self._news(event, data, about, name))

    def _news(self, event: str, data: Any, about: Message, name: Any) -> Message:
        named = {} if name is None else {"id": name}
        if event == "chunk":
            return named | valued("chunk", data)
        if event == "end":
            failure = {"status": about["statusCode"], "data": data} if "statusCode" in about else {}
            return named | {"end": True} | failure
        rest = {key: value for key, value in about.items() if key not in ("id", "url")}
        return {**named, "event": event, **valued("data", data), **rest}

    def _left(self, reason: str) -> None:
        self._heard.put_nowait(None)

    def _abort(self) -> None:
        self._client.eio.ws.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def valued(name: str, value: Any) -> Message:
    """As a message has it, which is JSON."""
    if isinstance(value, bytes):
        return {name: base64.b64encode(value).decode(), "encoding": "base64"}
    return {name: value}


@asynccontextmanager
async def open_socketio(
    site: Site,
    *,
    subprotocol: str | None,
    origin: str | None,
    headers: Mapping[str, str],
    path: str,
) -> AsyncIterator[Wire]:
    told: list[Any] = []
    options = {"headers": dict(headers), "refused": told.append, "socketio_path": path}
    opening = at(site, origin, hearing=SocketIOWire, **options)
    try:
        wire = await opening.__aenter__()
    except socketio.exceptions.ConnectionError as error:
        raise Refused(status_of(told, error)) from None
    try:
        yield wire
    finally:
        await opening.__aexit__(None, None, None)


def status_of(told: list[Any], error: BaseException) -> int | None:
    """Of the answer to the handshake; or what Socket.IO is told, once it has a WebSocket."""
    if told and isinstance(told[0], dict):
        status: int = told[0]["data"]["statusCode"]
        return status
    cause: BaseException | None = error
    while cause is not None and not hasattr(cause, "status"):
        cause = cause.__context__
    return getattr(cause, "status", None)


(uvicorn,) = (carrier for carrier in ASGI if carrier.name == "uvicorn")

CARRIERS = (
    replace(
        uvicorn,
        name="socketio",
        title="Socket.IO (uvicorn)",
        path="/socket.io/",
        command=lambda port: (
            *uvicorn.command(port)[:-1],
            "tests.transports.shared.site.sockets:application",
        ),
        open=open_socketio,
        lacks={
            "binary": "it has a format of its own, in which bytes are bytes",
            "back-pressure": "its client in Python reads whatever comes (the server itself waits until that is sent)",
            "exact": "its clients send values, and are given values, and not a text",
            "seed": "every request is an event with an acknowledgement of its own",
        },
    ),
)
