"""A connection with everything that there is on it: requests, subscriptions, live answers, notices."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple, Self, Unpack

import httpx

from wsrequest.client.following import Position
from wsrequest.client.link import Link, State
from wsrequest.client.options import Options, Token, target
from wsrequest.client.subscription import Live, Subscription
from wsrequest.client.transport import WebSocketTransport

#: Notices that wait for their reader; the oldest gives way.
MOST_NOTICES = 1_000


class Notice(NamedTuple):
    """What the server says unasked: ``notify()``."""

    event: str
    data: Any


class Connection:
    """Stays connected from ``async with`` on, until it is closed. Made by :func:`connect`."""

    def __init__(self, url: str, options: Options) -> None:
        self._link = Link(target(url, options), dict(options.get("cookies") or {}), stays=True)
        self._transport = WebSocketTransport._over(self._link)
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Connected: what speaks against it is raised here, as httpx.ConnectError mostly."""
        try:
            await self._link.ready(None)
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()

    @property
    def id(self) -> str | None:
        """What the server calls this connection; None before the first."""
        return self._link.hello.connection if self._link.hello is not None else None

    @property
    def state(self) -> State:
        """``open``; ``connecting``; ``waiting``, after it was lost, for the next attempt; or ``closed``."""
        return self._link.state

    @property
    def http(self) -> httpx.AsyncClient:
        """An httpx client on this connection, whose urls may be paths."""
        if self._http is None:
            self._http = httpx.AsyncClient(
                transport=self._transport, base_url=self._transport.base_url, trust_env=False
            )
        return self._http

    def subscribe(
        self,
        url: str,
        *,
        since: Position | None = None,
        presence: bool = False,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Subscription:
        """The events of a url. ``since`` is the ``position`` of an earlier subscription: what came after it follows."""
        fields = _fields(url, params, headers) | {"presence": presence}
        return Subscription(self._link, url, fields, since)

    def live(
        self,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Live:
        """What a url answers, and each newer answer."""
        return Live(self._link, url, _fields(url, params, headers))

    def notices(self) -> Notices:
        """What the server says unasked, from now on."""
        return Notices(self._link)

    def authenticate(self, token: Token | None) -> None:
        """Another token, on this connection from now on, and on those that follow it; None for none."""
        self._link.authenticate(token)

    async def aclose(self) -> None:
        """Requests that have no answer fail; subscriptions end."""
        if self._http is not None:
            await self._http.aclose()
        await self._link.aclose()


class Notices:
    """An asynchronous iterator that ends with ``aclose()``. Who reads too slowly misses the oldest."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._waiting: deque[Notice] = deque(maxlen=MOST_NOTICES)
        self._news = asyncio.Event()
        self._is_over = False
        link.on_notice.append(self._take)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Notice:
        while not self._waiting:
            if self._is_over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()

    async def aclose(self) -> None:
        self._is_over = True
        if self._take in self._link.on_notice:
            self._link.on_notice.remove(self._take)
        self._news.set()

    def _take(self, event: str, data: Any) -> None:
        self._waiting.append(Notice(event, data))
        self._news.set()


def connect(url: str, **options: Unpack[Options]) -> Connection:
    """Make a connection to ``ws://host/ws/``, for ``async with``.

    ``codec`` is "json" or "msgpack"; ``token`` a string, or a function, asynchronous or not, that gives one for each
    connection, and when the last one expires; ``headers``, ``cookies`` and ``origin`` go with the handshake; ``ssl``
    and ``proxy`` are those of ``websockets``.
    """
    return Connection(url, options)


def _fields(
    url: str, params: Mapping[str, Any] | None, headers: Mapping[str, str] | None
) -> dict[str, Any]:
    if not url.startswith("/"):
        raise ValueError(f"{url!r} is no path of this site: it begins with a slash")
    fields: dict[str, Any] = {}
    if params is not None:
        fields["data"] = dict(params)
    if headers is not None:
        fields["headers"] = dict(headers)
    return fields
