"""Who is told what became of a request."""

from __future__ import annotations

import asyncio
from typing import Protocol

from wsrequest.errors import ViewFailed, WSRequestError
from wsrequest.lifecycle.hop import settle
from wsrequest.lifecycle.response import Reply


class Sink(Protocol):
    """Who is told what became of a request. Everything is called on the loop.

    First ``running``, where there is a task that can be cancelled; then either ``respond`` or ``fail`` or (``begin``,
    ``chunk``..., ``end``), unless the task was cancelled; and at the very end, when the request holds no thread and no
    resource any more, ``finished``.
    """

    #: Nobody wants the answer any more: a request that has not begun yet need not. Looked at by any thread.
    abandoned: bool

    def running(self, task: asyncio.Task[None]) -> None:
        """This task does the work from now on. It may be cancelled once it has begun."""

    def respond(self, reply: Reply) -> None: ...

    def fail(self, error: WSRequestError) -> None: ...

    async def begin(self, head: Reply) -> None:
        """The head of a stream. Raises CancelledError where nobody wants it any more."""

    async def chunk(self, chunk: bytes) -> None:
        """Returns when there is room for the next one."""

    def end(self, error: WSRequestError | None) -> None: ...

    def finished(self) -> None: ...


class Answer:
    """The sink of who waits for an answer, and wants no more than its head."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.reply: asyncio.Future[Reply] = loop.create_future()
        self.abandoned = False
        self._task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        self.abandoned = True
        if self._task is not None:
            # Not at once: a task that was never begun would not run its ``finally``.
            self._task.get_loop().call_soon(self._task.cancel)

    def running(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def respond(self, reply: Reply) -> None:
        settle(self.reply, reply, None)

    def fail(self, error: WSRequestError) -> None:
        self.respond(Reply(error.status, {}))

    async def begin(self, head: Reply) -> None:
        self.respond(head)
        raise asyncio.CancelledError

    async def chunk(self, chunk: bytes) -> None:
        """Never called: there is no stream after :meth:`begin`."""

    def end(self, error: WSRequestError | None) -> None:
        self.fail(error or ViewFailed())

    def finished(self) -> None:
        self.fail(ViewFailed())
