"""Server-sent events and POSTs, which any ASGI server carries."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed

from tests.transports.shared.carrier import Carrier, Refused, Site, Wire
from tests.transports.shared.carriers.asgi import CARRIERS as OVER_WEBSOCKETS

PATIENCE = 30

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # a client makes one each time, which is slow


class StreamWire:
    """The client's end: it reads events as they are asked for, and posts one frame after the other."""

    def __init__(self, client: httpx.AsyncClient, response: httpx.Response, path: str) -> None:
        self.close_code: int | None = None
        self.subprotocol: str | None = None
        self.transport = SimpleNamespace(abort=self._abort)
        self._client = client
        self._path = path
        self._response = response
        self._lines = response.aiter_lines()
        self._posting = asyncio.Lock()
        self.key = ""

    async def greet(self) -> None:
        name, data = await self._event()
        assert name == "open"
        opened = json.loads(data)
        self.key, self.subprotocol = opened["key"], opened["protocol"]

    async def send(self, frame: str | bytes) -> None:
        body = frame.encode() if isinstance(frame, str) else frame
        async with self._posting:
            response = await self.post(self.key.encode() + b"\n" + body)
        assert response.status_code in (202, 204, 410), response.text

    async def post(self, body: bytes, **options: Any) -> httpx.Response:
        return await self._client.post(f"{self._path}messages/", content=body, **options)

    async def recv(self) -> str | bytes:
        if self.close_code is not None:
            raise ConnectionClosed(None, None)
        try:
            name, data = await self._event()
        except (httpx.HTTPError, StopAsyncIteration):
            name, data = "close", '{"code": 1006}'
        if name == "close":
            self.close_code = json.loads(data)["code"]
            raise ConnectionClosed(None, None)
        return base64.b64decode(data) if name == "binary" else data

    async def _event(self) -> tuple[str, str]:
        name, data = "message", []
        while True:
            line = await anext(self._lines)
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif not line and data:
                return name, "\n".join(data)

    def _abort(self) -> None:
        self._leaving = asyncio.ensure_future(self._response.aclose())


@asynccontextmanager
async def open_stream(
    site: Site,
    *,
    subprotocol: str | None,
    origin: str | None,
    headers: Mapping[str, str],
    path: str,
) -> AsyncIterator[Wire]:
    sent = dict(headers) if origin is None else {**headers, "Origin": origin}
    async with (
        httpx.AsyncClient(
            base_url=site.http, headers=sent, timeout=PATIENCE, trust_env=False, verify=NO_TLS
        ) as client,
        client.stream("POST", f"{path}events/", content=subprotocol or "") as response,
    ):
        if response.status_code != 200:
            raise Refused(response.status_code, response.headers.get("retry-after"))
        wire = StreamWire(client, response, path)
        await wire.greet()
        yield wire


def over(carrier: Carrier) -> Carrier:
    return replace(
        carrier,
        name=f"stream-{carrier.name}",
        title=f"event stream, {carrier.title.partition(' (')[0]}",
        open=open_stream,
        lacks={key: why for key, why in carrier.lacks.items() if key == "back-pressure"},
        complains=(),
        hears_to_the_end=carrier.listens,
    )


CARRIERS = tuple(over(each) for each in OVER_WEBSOCKETS if each.name in ("uvicorn", "hypercorn"))
