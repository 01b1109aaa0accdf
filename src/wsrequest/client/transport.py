"""httpx over the socket: a client that has this transport is an ordinary httpx.AsyncClient."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any, Unpack

import httpx

from wsrequest.client.exchange import HTTPExchange
from wsrequest.client.link import Link
from wsrequest.client.options import Options, target
from wsrequest.client.response import response_of
from wsrequest.protocol.client import body_fields, data_of
from wsrequest.protocol.messages import Said

#: Headers that a request has for its way over HTTP, and a message does not need.
_OF_HTTP = frozenset(
    "host cookie connection content-length keep-alive te trailer transfer-encoding upgrade".split()
)

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class WebSocketTransport(httpx.AsyncBaseTransport):
    """``httpx.AsyncClient(transport=WebSocketTransport("ws://host/ws/"), base_url="http://host")``.

    All requests of the client share one connection, which is opened by the first one, and again when it is lost. Only
    requests to its own host are taken. It belongs to the event loop that uses it first.
    """

    def __init__(self, url: str, **options: Unpack[Options]) -> None:
        cookies = dict(options.get("cookies") or {})
        self._link = Link(target(url, options), cookies, stays=False)
        self._is_own = True

    @classmethod
    def _over(cls, link: Link) -> WebSocketTransport:
        """On a connection that somebody else opens and closes."""
        transport = cls.__new__(cls)
        transport._link, transport._is_own = link, False
        return transport

    @property
    def base_url(self) -> str:
        """What to give the client as its ``base_url``."""
        return self._link.target.http

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._check_host(request)
        times = request.extensions.get("timeout") or {}
        self._link.bring(_cookies(request))
        fields = self._fields(request, await request.aread(), times.get("read"))
        await self._link.ready(times.get("connect"))
        await self._link.table.place(times.get("pool"))
        exchange = HTTPExchange(self._link.codec, fields, self._link.table.moved.set)
        self._link.start(exchange)
        try:
            head = await self._head(exchange, times.get("read"))
            if head.more:
                return response_of(
                    self._link, head, _Parts(self._link, exchange, times.get("read"))
                )
            return response_of(self._link, head, httpx.ByteStream(exchange.body()))
        except BaseException:
            self._link.cancel(exchange)
            raise

    async def aclose(self) -> None:
        if self._is_own:
            await self._link.aclose()

    async def _head(self, exchange: HTTPExchange, timeout: float | None) -> Said:  # noqa: ASYNC109
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(timeout):
                head = await exchange.head
        except TimeoutError:
            raise httpx.ReadTimeout(f"No answer in {timeout} seconds") from None
        # The server was told of the timeout: it may be the first to say that it is over.
        if timeout is not None and head.status == 504 and clock() >= began + timeout:
            data = data_of(self._link.codec, head)
            if isinstance(data, dict) and data.get("code") == "timeout":
                raise httpx.ReadTimeout(f"No answer in {timeout} seconds")
        return head

    def _check_host(self, request: httpx.Request) -> None:
        there, url = httpx.URL(self._link.target.url), request.url
        here = f"{self._link.target.url} serves requests to {self.base_url}"
        if not url.host:
            raise httpx.UnsupportedProtocol(f"{here}: give the client base_url={self.base_url!r}")
        is_same = (
            url.host == there.host
            and _port(url) == _port(there)
            and (url.scheme in ("https", "wss")) == (there.scheme == "wss")
            and url.scheme in _PORTS
        )
        if not is_same:
            site = f"{url.scheme}://{url.netloc.decode('ascii')}"
            raise httpx.UnsupportedProtocol(
                f"{here}, not to {site}: for others give the client mounts"
            )
        if (host := request.headers.get("host")) not in (None, url.netloc.decode("ascii")):
            raise httpx.LocalProtocolError(
                f"The Host of a connection can't be {host!r} for one request"
            )

    def _fields(self, request: httpx.Request, body: bytes, timeout: float | None) -> dict[str, Any]:
        origin = ("origin", self._link.target.origin)
        headers = {
            name: value
            for name, value in request.headers.items()
            if name not in _OF_HTTP and (name, value) != origin
        }
        fields: dict[str, Any] = {
            "method": request.method,
            "url": request.url.raw_path.decode("ascii"),
            "headers": headers,
        }
        if body:
            fields["data"], fields["encoding"] = body_fields(
                self._link.codec, body, headers.get("content-type")
            )
        if timeout is not None:
            fields["timeout"] = max(1, math.ceil(timeout * 1000))
        if (key := request.extensions.get("idempotency_key")) is not None:
            fields["key"] = str(key)
        return fields


class _Parts(httpx.AsyncByteStream):
    """The body of a stream. Closed before its end, the server is told to stop."""

    def __init__(self, link: Link, exchange: HTTPExchange, timeout: float | None) -> None:
        self._link = link
        self._exchange = exchange
        self._timeout = timeout

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._exchange.parts(self._timeout)

    async def aclose(self) -> None:
        self._link.cancel(self._exchange)


def _port(url: httpx.URL) -> int | None:
    return url.port or _PORTS.get(url.scheme)


def _cookies(request: httpx.Request) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in request.headers.get("cookie", "").split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
