"""Putting whatever waits for connections into frames."""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import Awaitable, Generator
from contextvars import Context
from typing import Any, Protocol

from wsrequest import log
from wsrequest.protocol.connection import Connection
from wsrequest.session.observer import Observer
from wsrequest.session.outbox import Messages, Outbox
from wsrequest.session.watch import Watch

#: Bytes up to which waiting messages share a frame: enough to save most of the cost of a frame, and far from the 1 MiB
#: at which WebSocket clients commonly stop reading.
MERGED_BYTES = 2**16

#: Connections that are written to before whatever else waits on the loop has its turn: an event may be for thousands.
AT_ONCE = 1024


class Sender(Protocol):
    """As much of a transport as writes."""

    def send(self, frame: str | bytes) -> Awaitable[None]:
        """See :class:`~wsrequest.session.transport.Transport`."""


class Owner(Protocol):
    """Whose connection it is."""

    id: str
    connection: Connection
    watch: Watch

    def written(self) -> None:
        """There is room again, or less that is to be waited for."""

    def forsake(self) -> None:
        """Nobody reads any more."""

    def close(self, code: int) -> None:
        """Close with this code."""


class Pen(Outbox):
    """The outbox of a connection, and what is needed to empty it.

    For each frame little else is looked at: what is said to thousands is said sooner where there is less to visit.
    """

    __slots__ = ("leaving", "observer", "owner", "task", "transport")

    def __init__(
        self,
        owner: Owner,
        transport: Sender,
        observer: Observer | None,
        *,
        limit: int,
        merge: bool,
    ) -> None:
        """``limit``: see :class:`~wsrequest.session.outbox.Outbox`. ``merge``: whether messages may share a frame."""
        super().__init__(limit, MERGED_BYTES if merge else 0)
        self.owner = owner
        self.transport = transport
        self.observer = observer
        #: The owner closes as soon as it can: it is told of each frame that has gone, rather than where there was no
        #: room.
        self.leaving = False
        #: The task that waits for the transport.
        self.task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Nothing more is to be sent."""
        self.attend(None)
        if self.task is not None:
            self.task.cancel()


class Writers:
    """Write for the connections of one event loop, a frame at a time for each.

    One event may be for thousands of connections, and a task for each of them would cost about as much as the sending.
    A transport that has room takes a frame without waiting, so one task goes from connection to connection. Where it
    has to wait, it stays with that connection, and another task takes its place.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: deque[Pen] = deque()
        self._task: asyncio.Task[None] | None = None
        # The task is about to send for it: who is there after its step waits for a transport.
        self._present: Pen | None = None
        # The latest messages, and their frame: those of one event are the same for many connections.
        self._messages: Messages | None = None
        self._frame: str | bytes = ""

    def call(self, pen: Pen) -> None:
        """There is something in its outbox."""
        self._queue.append(pen)
        if self._task is None:
            self._call_one()

    def _call_one(self) -> None:
        # Not in the context of whoever has something to say.
        self._task = self._loop.create_task(self._write(), context=Context())
        self._loop.call_soon(self._look)  # after its first step

    def _look(self) -> None:
        """The task has done what can be done without waiting."""
        if (pen := self._present) is not None:
            self._present = None
            pen.task = self._task
            pen.owner.watch.sending()
        self._task = None
        if self._queue:
            self._call_one()
        else:
            self._messages, self._frame = None, ""

    async def _write(self) -> None:
        queue = self._queue
        for _ in range(min(len(queue), AT_ONCE)):
            self._present = pen = queue.popleft()
            messages = pen.take()
            if messages is None:
                continue
            try:
                if messages is not self._messages and messages != self._messages:
                    together = messages if isinstance(messages, list) else [messages]
                    self._frame = pen.owner.connection.codec.frame(together)
                    self._messages = messages
                await pen.transport.send(self._frame)
            except Exception as error:  # noqa: BLE001 (logged, unless the peer is gone)
                _give_up(pen.owner, error)
            else:
                if pen.observer is not None:
                    pen.observer.frame_went(pen.in_hand, pen.size)
                if pen.sent() or pen.leaving:
                    pen.owner.written()
            if pen.task is not None:  # it had to wait, and another one is at work
                pen.task = None
                pen.owner.watch.sent()
                return
        self._present = None


def _give_up(owner: Owner, error: Exception) -> None:
    if not isinstance(error, OSError):
        log.transport_failed(owner.id)
        owner.close(4105)
    owner.forsake()


class Surrounded:
    """A transport that is called in copies of a context: of what is around the connection, where there is anything."""

    def __init__(self, context: Context, transport: Sender) -> None:
        self._context = context
        self._transport = transport

    def send(self, frame: str | bytes) -> Awaitable[None]:
        return _within(self._context, self._transport.send(frame))


async def _awaited(sending: Awaitable[None]) -> None:
    await sending


@types.coroutine
def _within(context: Context, sending: Awaitable[None]) -> Generator[Any, Any, None]:
    """Await it in a copy of the context, as a part of the present task: as far as this can be told from inside, it is a
    task of its own."""
    run, steps = context.copy().run, _awaited(sending)
    step, value = steps.send, None
    while True:
        try:
            awaited = run(step, value)
        except StopIteration:
            return
        try:
            step, value = steps.send, (yield awaited)
        except BaseException as error:  # noqa: BLE001 (a cancellation, say, is for who waits)
            step, value = steps.throw, error
