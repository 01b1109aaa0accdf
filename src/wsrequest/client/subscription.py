"""Subscriptions and live answers as asynchronous iterators."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from typing import Any, Generic, Self, TypeVar

import httpx
from msgspec import UNSET

from wsrequest.client.dial import BYE, Failure
from wsrequest.client.exchange import Exchange
from wsrequest.client.following import Event, Following, Gap, Position
from wsrequest.client.link import Link
from wsrequest.client.options import back_off, seconds_in
from wsrequest.client.response import response_of
from wsrequest.protocol.client import body_of
from wsrequest.protocol.messages import Asked, Said

#: Events that wait for their reader: with so many the subscription is ended, and made again, from where it stood, when
#: they were read.
MOST_EVENTS = 1_000

#: Statuses at which an old subscription is tried again later: they say nothing of what the client may see.
_NOT_NOW = frozenset({408, 425, 429, 500, 502, 503, 504})

T = TypeVar("T")


class _Iterator(Exchange, Generic[T]):
    """What subscriptions and live answers have in common: they begin when they are first asked, and come back with each
    connection. One task reads from it."""

    live = False

    def __init__(
        self, link: Link, url: str, fields: dict[str, Any], since: Position | None
    ) -> None:
        self.url = url
        self._link = link
        self._fields = fields
        self._following = Following(link.codec, since)
        self._news = asyncio.Event()
        self._has_started = self._has_begun = False
        self._error: httpx.HTTPError | None = None
        self._tries = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def state(self) -> Any:
        """What the url answers, as of what the server said last: parsed JSON, else text or bytes."""
        return self._following.state

    @property
    def members(self) -> list[Any]:
        """Who is there, where ``presence`` was asked for."""
        return list(self._following.members.values())

    async def __aenter__(self) -> Self:
        """Subscribed: a no is raised here as httpx.HTTPStatusError."""
        try:
            await self._begun()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        await self._begun()
        while True:
            if self._has_news():
                return self._take()
            if self.is_over:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            await self._wait()

    async def aclose(self) -> None:
        """Unsubscribe; an iteration ends."""
        if not self.is_over:
            if self.id:
                self._link.cancel(self)
            self._finish(None)

    # --- for the link ---

    def asked(self, id: int) -> Asked:
        since = self._following.since
        return Asked(
            id=id, method="SUBSCRIBE", url=self.url, live=self.live, since=since, **self._fields
        )

    def hear(self, said: Said) -> None:
        if said.event is not UNSET:
            try:
                self._tell(self._following.hear(said))
            except Gap:
                self._begin_anew()
        elif said.subscription is not UNSET:
            self.is_running, self._has_begun, self._tries = False, True, 0
            self._tell(self._following.begin(said, said.subscription), has_begun=True)
        elif not said.end and self._has_begun and said.status in _NOT_NOW:
            self._try_later(said)
        else:
            self._end(said)
        self._news.set()

    def fail(self, failure: Failure) -> None:
        self._finish(None if failure is BYE else failure.error())

    def may_be_sent_again(self, *, was_not_run: bool) -> bool:
        self.is_running = True
        return True

    # --- for those that tell events apart ---

    @abstractmethod
    def _tell(self, events: list[Event], *, has_begun: bool = False) -> None:
        """This was heard."""

    @abstractmethod
    def _has_news(self) -> bool:
        """Whether there is something for the reader."""

    @abstractmethod
    def _take(self) -> T:
        """What the reader gets next."""

    # --- inside ---

    async def _begun(self) -> None:
        if not self._has_started:
            self._has_started = True
            self._link.wants.add(self)
            try:
                await self._link.ready(None)
                await self._link.table.place(None)
                self._link.start(self)
            except BaseException as error:
                if not self.is_over:
                    self._finish(error if isinstance(error, httpx.HTTPError) else None)
                raise
        while not self._has_begun:
            if self.is_over:
                if self._error is not None:
                    raise self._error
                return
            await self._wait()

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _begin_anew(self) -> None:
        """Leave this exchange to its end, and make another one from the same position."""
        self._leave()
        self._subscribe()

    def _leave(self) -> None:
        """The present id is left to the server's last word on it."""
        leaving = _Leaving(self)
        self._link.table.replace(self, leaving)
        self._link.cancel(leaving)

    def _subscribe(self) -> None:
        self.is_running = True
        self._link.start(self)

    def _try_later(self, said: Said) -> None:
        self._link.table.remove(self)
        pause = max(seconds_in(said.headers.get("retry-after")), back_off(self._tries))
        self._tries += 1
        self._timer = asyncio.get_running_loop().call_later(pause, self._subscribe)

    def _end(self, said: Said) -> None:
        body = body_of(self._link.codec, said, said.headers.get("content-type", ""))
        request = httpx.Request("SUBSCRIBE", self._link.target.http + self.url)
        response = response_of(self._link, said, httpx.ByteStream(body))
        response.read()
        response.request = request
        text = (
            f"{self.url} can't be watched"
            if not said.end
            else f"The subscription to {self.url} is over"
        )
        said_why = body[:200].decode("utf-8", "replace")
        self._finish(
            httpx.HTTPStatusError(
                f"{text}: {said.status} {said_why}", request=request, response=response
            )
        )

    def _finish(self, error: httpx.HTTPError | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.is_over = True
        self._error = error
        self._link.wants.discard(self)
        self._news.set()


class _Leaving(Exchange):
    """What was a subscription's id, until the server has said its last word on it."""

    is_running = False

    def __init__(self, subscription: Exchange) -> None:
        self.id = subscription.id
        self.is_sent = True
        self._asked = subscription.asked

    def asked(self, id: int) -> Asked:
        return self._asked(id)

    def hear(self, said: Said) -> None:
        """Nobody listens."""

    def may_be_sent_again(self, *, was_not_run: bool) -> bool:
        return False

    def fail(self, failure: Failure) -> None:
        """Nobody waits for it."""


class Subscription(_Iterator[Event]):
    """The events of a url: ``async with connection.subscribe(url) as events: async for event in events``.

    It goes on over lost connections, without an event twice; where events are missing, it says so by ``lost``, and
    ``replace`` follows with the present state.
    """

    def __init__(
        self, link: Link, url: str, fields: dict[str, Any], since: Position | None
    ) -> None:
        super().__init__(link, url, fields, since)
        self._events: deque[Event] = deque()
        self._is_held_back = False
        #: Where the last event that was read stands; say it as ``since`` to go on from there another day.
        self.position = since

    def _tell(self, events: list[Event], *, has_begun: bool = False) -> None:
        self._events.extend(events)
        if self.position is None:
            self.position = self._following.position
        if len(self._events) >= MOST_EVENTS and not self._is_held_back:
            self._is_held_back = True
            self._leave()

    def _has_news(self) -> bool:
        return bool(self._events)

    def _take(self) -> Event:
        event = self._events.popleft()
        self.position = event.position
        if self._is_held_back and not self._events and not self.is_over:
            self._is_held_back = False
            self._subscribe()
        return event


class Live(_Iterator[Any]):
    """What a url answers, always the newest: ``async with connection.live(url) as states: async for state in states``.

    The first state comes at once, and after a lost connection it comes again. Who reads slowly misses states in
    between, never the last one. Each state is an object of its own.
    """

    live = True

    def __init__(self, link: Link, url: str, fields: dict[str, Any]) -> None:
        super().__init__(link, url, fields, None)
        self._is_new = False

    def _tell(self, events: list[Event], *, has_begun: bool = False) -> None:
        self._is_new |= has_begun or any(event.name in ("replace", "patch") for event in events)

    def _has_news(self) -> bool:
        return self._is_new

    def _take(self) -> Any:
        self._is_new = False
        return self.state
