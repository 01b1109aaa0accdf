"""One request and its answer, on one connection."""

from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie
from typing import Any, Protocol

from msgspec import UNSET

from wsrequest import log
from wsrequest.errors import Cancelled, ShutDown, TimedOut, ViewFailed, WSRequestError
from wsrequest.lifecycle.identity import Identity
from wsrequest.lifecycle.request import RequestFactory
from wsrequest.lifecycle.response import Reply, text_data
from wsrequest.protocol.connection import Connection
from wsrequest.protocol.messages import SAFE_METHODS, Request
from wsrequest.session.observer import Observer
from wsrequest.session.outbox import Outbox


class Owner(Protocol):
    """What an exchange needs of its session."""

    connection: Connection
    observer: Observer | None

    @property
    def outbox(self) -> Outbox:
        """What waits to be sent."""

    def answered(self, exchange: Exchange, message: bytes) -> None:
        """Send the exchange's last message. Its id may be used again."""

    def withdraw(self, exchange: Exchange) -> None:
        """Take a request that was answered out of the queue, where it waits there."""

    def finished(self, exchange: Exchange) -> None:
        """The exchange holds no thread and no resource any more: its place is free."""

    def take_cookies(self, cookies: SimpleCookie) -> None:
        """A response has set these."""

    def learn(self, era: int, identity: Identity, status: int) -> None:
        """This is what a request has shown that bore the connection's own credentials, as of this era."""


class Exchange:
    """One request and its answer: the sink of a runner. Whatever comes after the exchange's end goes nowhere."""

    __slots__ = (
        "_arrived",
        "_content_type",
        "_ended",
        "_interrupted",
        "_observer",
        "_session",
        "_streaming",
        "_task",
        "_timer",
        "_waits",
        "abandoned",
        "era",
        "factory",
        "message",
    )

    def __init__(self, session: Owner, message: Request, factory: RequestFactory) -> None:
        """``factory`` makes its request, with the token that held when the message arrived."""
        self.message = message
        self.factory = factory
        #: Which of the connection's credentials it bears; known when it starts.
        self.era = -1
        #: Nobody wants the answer any more: a thread that has not begun with it need not. Any thread may look.
        self.abandoned = False
        self._observer = session.observer
        # What the observer wants to know: when the message came, and whether it waits to run.
        self._arrived, self._waits = 0.0, False
        if session.observer is not None:
            self._arrived, self._waits = session.observer.arrived(), True
        self._timer: asyncio.TimerHandle | None = None
        self._session = session
        self._task: asyncio.Task[None] | None = None
        self._content_type = ""
        self._streaming = False
        self._ended = False
        self._interrupted = False

    def limit(self, seconds: float | None) -> None:
        """Answer 504 unless there is an answer within so many seconds, or the message's own ``timeout``."""
        own = None if self.message.timeout is None else self.message.timeout / 1000
        if own is not None and (seconds is None or own <= seconds):
            self._timer = asyncio.get_running_loop().call_later(own, self._give_up, TimedOut())
        elif seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, self._take_too_long, seconds)

    def cancel(self) -> None:
        """The client does not want the answer any more: say so, and stop what can be stopped."""
        self._give_up(Cancelled())

    def _take_too_long(self, seconds: float) -> None:
        """The project's own limit: what exceeds it is worth a warning."""
        log.timed_out(self.factory.connection_id, self.message, seconds)
        self._give_up(TimedOut())

    def shut_down(self) -> None:
        """The server does not wait any longer."""
        if not self._ended:
            self._give_up(ShutDown())

    def stop(self) -> None:
        """The peer is gone. An exchange that has ended already is only clearing up, and must not be disturbed; one that
        has a key goes on, for as long as it may take: its answer is kept for the peer that asks for it again."""
        if not self._ended:
            self._ended = True
            if not self._streaming:
                self._tell(None)
            safe = self.message.key is None or self.message.method in SAFE_METHODS
            if safe or self._streaming:  # a stream is kept for nobody
                self._stop_timer()
                self._interrupt()

    def drop(self) -> None:
        """The peer is gone, and this one has not begun: it never will."""
        self.stop()
        self._stop_timer()

    def _give_up(self, error: WSRequestError) -> None:
        self._cut_short(error)
        self._session.withdraw(self)
        self._interrupt()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _learn(self, reply: Reply) -> None:
        """What the connection is to know of a response, even of one that comes too late for the client."""
        if reply.set_cookies is not None:
            self._session.take_cookies(reply.set_cookies)
        if reply.identity is UNSET and reply.status != 401:
            return  # it shows nothing
        message = self.message
        if message.token is None and "authorization" not in (message.headers or ()):
            self._session.learn(self.era, reply.identity, reply.status)

    def _interrupt(self) -> None:
        self.abandoned = True
        if self._task is not None:
            # Not at once: a task that was never begun would not run its ``finally``.
            self._task.get_loop().call_soon(self._cancel_task)

    def _cancel_task(self) -> None:
        """At most once: clearing up awaits, too, and must not be cut short."""
        if not self._interrupted and self._task is not None:
            self._interrupted = True
            self._task.cancel()

    def _still_wanted(self) -> None:
        """Raise where nobody wants the stream any more. Waiting for the task to be cancelled is not enough: a generator
        that never awaits would not let the loop come to that, nor to read that the peer is gone."""
        if self._session.outbox.discarded:
            self.stop()
        if self._ended:
            self._interrupted = True
            raise asyncio.CancelledError

    def started(self) -> None:
        """It waits no more, but runs."""
        if self._observer is not None:
            self._waits = False
            self._observer.started(self._arrived)

    def running(self, task: asyncio.Task[None]) -> None:
        self._task = task
        if self._ended:
            self._interrupt()

    def respond(self, reply: Reply) -> None:
        self._learn(reply)
        if not self._ended:
            self._end(self._response(reply))
            self._tell(reply.status)

    def _response(self, reply: Reply, **more: Any) -> bytes:
        return self._session.connection.send_response(
            self.message.id,
            reply.status,
            reply.headers,
            reply.data,
            reply.encoding,
            reply.cookies,
            **more,
        )

    def fail(self, error: WSRequestError) -> None:
        if not self._ended:
            self._end(self._session.connection.send_error(self.message.id, error))
            self._tell(error.status)
            self._tell_of(error)

    async def begin(self, head: Reply) -> None:
        self._learn(head)
        self._still_wanted()
        self._stop_timer()
        self._content_type = head.headers.get("content-type", "")
        self._session.outbox.put(
            self._session.connection.send_response(
                self.message.id, head.status, head.headers, cookies=head.cookies, more=True
            )
        )
        self._streaming = True
        self._tell(head.status)
        await self._session.outbox.room()

    async def chunk(self, chunk: bytes) -> None:
        self._still_wanted()
        data, encoding = text_data(chunk, self._content_type, self._session.connection.codec)
        self._session.outbox.put(
            self._session.connection.send_chunk(self.message.id, data, encoding)
        )
        if self._observer is not None:
            self._observer.chunk_went(len(chunk))
        await self._session.outbox.room()

    def end(self, error: WSRequestError | None) -> None:
        if error is not None and not self._streaming:  # its head could not be encoded
            self.fail(error)
        elif not self._ended:
            self._end(self._session.connection.send_end(self.message.id, error))
            self._tell_of(error)

    def finished(self) -> None:
        if self._timer is not None:
            self._stop_timer()
        try:
            if not self._ended:
                # Whatever went wrong (a view that cancels its own task, say), every id is answered exactly once.
                self._cut_short(ViewFailed())
        finally:
            if self._observer is not None:
                self._observer.finished()
            self._session.finished(self)

    def _cut_short(self, error: WSRequestError) -> None:
        if self._streaming:
            self.end(error)
        else:
            self.fail(error)

    def _end(self, message: bytes) -> None:
        self._ended = True
        if self._timer is not None:
            self._stop_timer()
        self._session.answered(self, message)

    # Told to the observer.

    def _tell(self, status: int | None) -> None:
        """The status of the answer; None where there is nobody to be answered."""
        if self._observer is not None:
            if self._waits:
                self._waits = False
                self._observer.withdrawn()
            self._observer.answered(self.message, self._arrived, status)

    def _tell_of(self, error: WSRequestError | None) -> None:
        """What was said instead of an answer, or ended a stream."""
        if self._observer is not None and error is not None:
            self._observer.cut_short(error)
