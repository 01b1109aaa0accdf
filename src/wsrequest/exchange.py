"""One request and its answer, on one connection."""

from __future__ import annotations

import asyncio
from typing import Protocol

from wsrequest.errors import Cancelled, ViewFailed, WSRequestError
from wsrequest.lifecycle.cookies import CookieJar
from wsrequest.lifecycle.response import Reply, text_data
from wsrequest.outbox import Outbox
from wsrequest.protocol.connection import Connection
from wsrequest.protocol.messages import Request


class Owner(Protocol):
    """What an exchange needs of its session."""

    connection: Connection
    outbox: Outbox
    jar: CookieJar

    def answered(self, exchange: Exchange) -> None:
        """The exchange's id may be used again."""

    def withdraw(self, exchange: Exchange) -> bool:
        """Take a request out of the queue; False where it does not wait there."""

    def finished(self, exchange: Exchange) -> None:
        """The exchange holds no thread and no resource any more: its place is free."""


class Exchange:
    """One request and its answer: the sink of a runner. Whatever comes after the exchange's end goes nowhere."""

    __slots__ = (
        "_content_type",
        "_ended",
        "_interrupted",
        "_session",
        "_streaming",
        "_task",
        "message",
    )

    def __init__(self, session: Owner, message: Request) -> None:
        self.message = message
        self._session = session
        self._task: asyncio.Task[None] | None = None
        self._content_type = ""
        self._streaming = False
        self._ended = False
        self._interrupted = False

    def cancel(self) -> None:
        """The client does not want the answer any more: say so, and stop what can be stopped."""
        self._cut_short(Cancelled())
        if not self._session.withdraw(self):
            self._interrupt()

    def stop(self) -> None:
        """The peer is gone. An exchange that has ended already is only clearing up, and must not be disturbed."""
        if not self._ended:
            self._ended = True
            self._interrupt()

    def _interrupt(self) -> None:
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
        that never awaits would not let the loop come to that."""
        if self._ended:
            self._interrupted = True
            raise asyncio.CancelledError

    def running(self, task: asyncio.Task[None]) -> None:
        self._task = task
        if self._ended:
            self._interrupt()

    def respond(self, reply: Reply) -> None:
        if reply.set_cookies is not None:
            self._session.jar.update(reply.set_cookies)
        if not self._ended:
            self._end(
                self._session.connection.send_response(
                    self.message.id,
                    reply.status,
                    reply.headers,
                    reply.data,
                    reply.encoding,
                    reply.cookies,
                )
            )

    def fail(self, error: WSRequestError) -> None:
        if not self._ended:
            self._end(self._session.connection.send_error(self.message.id, error))

    async def begin(self, head: Reply) -> None:
        if head.set_cookies is not None:
            self._session.jar.update(head.set_cookies)
        self._still_wanted()
        self._content_type = head.headers.get("content-type", "")
        self._session.outbox.put(
            self._session.connection.send_response(
                self.message.id, head.status, head.headers, cookies=head.cookies, more=True
            )
        )
        self._streaming = True
        await self._session.outbox.room()

    async def chunk(self, chunk: bytes) -> None:
        self._still_wanted()
        data, encoding = text_data(chunk, self._content_type)
        self._session.outbox.put(
            self._session.connection.send_chunk(self.message.id, data, encoding)
        )
        await self._session.outbox.room()

    def end(self, error: WSRequestError | None) -> None:
        if error is not None and not self._streaming:  # its head could not be encoded
            self.fail(error)
        elif not self._ended:
            self._end(self._session.connection.send_end(self.message.id, error))

    def finished(self) -> None:
        try:
            if not self._ended:
                # Whatever went wrong (a view that cancels its own task, say), every id is answered exactly once.
                self._cut_short(ViewFailed())
        finally:
            self._session.finished(self)

    def _cut_short(self, error: WSRequestError) -> None:
        if self._streaming:
            self.end(error)
        else:
            self.fail(error)

    def _end(self, message: bytes) -> None:
        self._ended = True
        self._session.answered(self)
        self._session.outbox.put(message)
