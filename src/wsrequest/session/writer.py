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
from wsrequest.session.outbox import Outbox
from wsrequest.session.transport import Transport
from wsrequest.session.watch import Watch

#: Bytes up to which waiting messages share a frame: enough to save most of the cost of a frame, and far from the 1 MiB
#: at which WebSocket clients commonly stop reading.
MERGED_BYTES = 2**16

#: Connections that are written to before whatever else waits on the loop has its turn: an event may be for thousands.
AT_ONCE = 64


class Writing(Protocol):
    """The session that is written for."""

    id: str
    connection: Connection
    observer: Observer | None
    outbox: Outbox
    transport: Transport
    watch: Watch
    #: What is around the connection: its transport is called in a copy.
    context: Context
    #: The task that waits for the transport; to be cancelled where nothing more is to be sent.
    writer: asyncio.Task[None] | None
    subprotocol: str | None
    #: Whether it is told of each frame that has gone, rather than where there was no room.
    leaving: bool

    def written(self) -> None:
        """There is room again, or less that is to be waited for."""

    def forsake(self) -> None:
        """Nobody reads any more."""

    def close(self, code: int) -> None:
        """Close with this code."""


class Writers:
    """Write for the connections of one event loop, a frame at a time for each.

    One event may be for thousands of connections, and a task for each of them would cost about as much as the sending.
    A transport that has room takes a frame without waiting, so one task goes from connection to connection. Where it
    has to wait, it stays with that connection, and another task takes its place.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: deque[Writing] = deque()
        self._task: asyncio.Task[None] | None = None
        # For whom the task is writing: who is there after its step waits for a transport.
        self._present: Writing | None = None
        # The latest messages, and their frame: those of one event are the same for many connections.
        self._messages: list[bytes] = []
        self._frame: str | bytes = ""

    def call(self, session: Writing) -> None:
        """There is something in this session's outbox. It is called once for each frame."""
        self._queue.append(session)
        if self._task is None:
            self._call_one()

    def _call_one(self) -> None:
        # Not in the context of whoever has something to say.
        self._task = self._loop.create_task(self._write(), context=Context())
        self._loop.call_soon(self._look)  # after its first step

    def _look(self) -> None:
        """The task has done what can be done without waiting."""
        if (session := self._present) is not None:
            self._present = None
            session.writer = self._task
            session.watch.sending()
        self._task = None
        if self._queue:
            self._call_one()
        else:
            self._messages, self._frame = [], ""

    async def _write(self) -> None:
        queue = self._queue
        for _ in range(AT_ONCE):
            if not queue:
                break
            self._present = session = queue.popleft()
            outbox = session.outbox
            messages = outbox.take(0 if session.subprotocol is None else MERGED_BYTES)
            if not messages:
                continue
            try:
                if messages != self._messages:
                    self._messages = messages
                    self._frame = session.connection.codec.frame(messages)
                sending = session.transport.send(self._frame)
                await (_within(session.context, sending) if session.context else sending)
            except Exception as error:  # noqa: BLE001 (logged, unless the peer is gone)
                _give_up(session, error)
            else:
                if session.observer is not None:
                    session.observer.frame_went(sum(map(len, messages)), outbox.size)
                if outbox.sent() or session.leaving:
                    session.written()
            if session.writer is not None:  # it had to wait, and another one is at work
                session.writer = None
                session.watch.sent()
                return
        self._present = None


def _give_up(session: Writing, error: Exception) -> None:
    if not isinstance(error, OSError):
        log.transport_failed(session.id)
        session.close(4105)
    session.forsake()


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
