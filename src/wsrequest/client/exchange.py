"""One request and what comes back for it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import httpx
from msgspec import UNSET

from wsrequest.errors import InvalidMessage
from wsrequest.protocol.client import body_of
from wsrequest.protocol.codec import Codec
from wsrequest.protocol.messages import SAFE_METHODS, Asked, Said

if TYPE_CHECKING:
    from wsrequest.client.dial import Failure

#: Bytes of a stream that nobody has read: from the one on nothing more is read from a connection on which there is
#: nothing else; past the other the stream is given up.
SOFT_LIMIT = 2**20
HARD_LIMIT = 2**26

#: How often a request is sent before it is held for the one that makes connections break.
MOST_TRIES = 5


class Exchange(ABC):
    """What has an id on the wire. The connection calls these; nothing here waits."""

    id = 0
    #: Whether it was given to the socket of the present connection.
    is_sent = False
    #: Whether it counts as in flight.
    is_running = True
    #: Whether the server will say nothing more of it.
    is_over = False
    #: Whether nobody wants to hear of it any more.
    is_cancelled = False
    #: How often it was sent.
    tries = 0
    #: Bytes that wait to be read.
    size = 0

    @abstractmethod
    def asked(self, id: int) -> Asked:
        """The message by which it begins."""

    @abstractmethod
    def hear(self, said: Said) -> None:
        """The server says this of it."""

    @abstractmethod
    def fail(self, failure: Failure) -> None:
        """Nothing more will be said of it."""

    @abstractmethod
    def may_be_sent_again(self, *, was_not_run: bool) -> bool:
        """Whether a lost connection can be made good. ``was_not_run``: the server has said so."""


class HTTPExchange(Exchange):
    """A request; its answer is a head and, where that has ``more``, parts."""

    def __init__(self, codec: Codec, fields: dict[str, Any], on_read: Callable[[], None]) -> None:
        self._codec = codec
        self._fields = fields
        self._on_read = on_read
        self._parts: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._error: httpx.TransportError | None = None
        self._content_type = ""
        self.head: asyncio.Future[Said] = asyncio.get_running_loop().create_future()

    def asked(self, id: int) -> Asked:
        return Asked(id=id, **self._fields)

    def hear(self, said: Said) -> None:
        if not self.head.done():
            self._content_type = said.headers.get("content-type", "")
            self.head.set_result(said)
            self.is_over = not said.more
        elif said.end:
            self.is_over = True
            if said.status is not UNSET:
                self._error = httpx.RemoteProtocolError(_why(self._codec, said))
        else:
            part = body_of(self._codec, said, self._content_type)
            self._parts.append(part)
            self.size += len(part)
        self._news.set()

    def fail(self, failure: Failure) -> None:
        self.is_over = True
        if not self.head.done():
            self.head.set_exception(failure.error())
            self.head.exception()  # it may be that nobody waits any more
        self._error = failure.error()
        self._news.set()

    def may_be_sent_again(self, *, was_not_run: bool) -> bool:
        if self.head.done():
            return False
        is_safe = self._fields["method"] in SAFE_METHODS or self._fields.get("key") is not None
        return was_not_run or (is_safe and self.tries < MOST_TRIES)

    def body(self) -> bytes:
        """The body of an answer that is no stream."""
        return body_of(self._codec, self.head.result(), self._content_type)

    async def parts(self, timeout: float | None) -> AsyncIterator[bytes]:  # noqa: ASYNC109
        """The parts of a stream; each may take so many seconds."""
        while True:
            while self._parts:
                part = self._parts.popleft()
                self.size -= len(part)
                self._on_read()
                yield part
            if self.is_over:
                if self._error is not None:
                    raise self._error
                return
            self._news.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._news.wait()
            except TimeoutError:
                raise httpx.ReadTimeout(
                    f"No part of the stream came for {timeout} seconds"
                ) from None


def _why(codec: Codec, said: Said) -> str:
    try:
        body = body_of(codec, said, "application/json").decode("utf-8", "replace")
    except InvalidMessage:
        body = ""
    return f"The server cut the stream short with {said.status}: {body[:200]}"


def is_last(said: Said) -> bool:
    """Whether the server says nothing more of it. (A subscription may have begun before it heard of the cancel.)"""
    has_ended = said.status is not UNSET and not said.more and said.subscription is UNSET
    return said.end or has_ended
