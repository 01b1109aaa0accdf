"""One thread for one message: where an asynchronous view's synchronous surroundings run.

The rule is asgiref's and Django's; its cost is not. asgiref starts a thread for each request, and wakes the loop once
for every hop: here the threads are kept, and results come back in batches.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import (
    AsyncToSync,
    SyncToAsync,
    ThreadSensitiveContext,
    _restore_context,
    sync_to_async,
)
from django.db import connections

from wsrequest.lifecycle.threads import Bridge, Job, Lane, Worker, WorkerPool

P = ParamSpec("P")
T = TypeVar("T")

_current: contextvars.ContextVar[MessageThread] = contextvars.ContextVar("wsrequest.message_thread")


async def hop(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``sync_to_async(function, thread_sensitive=True)``, on the message's own thread where there is one."""
    thread = _reachable()
    if thread is None:
        return await sync_to_async(function, thread_sensitive=True)(*args, **kwargs)
    return await thread.call(function, *args, **kwargs)


async def hop_anywhere(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """:func:`hop` for code that leaves nothing behind on its thread: while the message has no thread of its own yet,
    any thread of the pool does."""
    thread = _reachable()
    if thread is None:
        return await sync_to_async(function, thread_sensitive=True)(*args, **kwargs)
    return await thread.call_anywhere(function, *args, **kwargs)


def _reachable() -> MessageThread | None:
    thread = _current.get(None)
    # A thread that waits in async_to_sync() serves its own hops; a job queued for it would wait for ever.
    if (
        thread is None
        or thread.released
        # Another loop may run in this context, as that of asyncio.run() in a hook.
        or thread.loop is not asyncio.get_running_loop()
        or getattr(AsyncToSync.executors, "current", None) is not None
    ):
        return None
    return thread


class MessageThread(Executor):
    """The thread that one message has to itself, from the first job for it to the message's end.

    As an ``Executor`` it serves asgiref's ``sync_to_async``.
    """

    def __init__(
        self,
        pool: WorkerPool,
        bridge: Bridge | None = None,
        worker: Worker | None = None,
        lane: Lane | None = None,
    ) -> None:
        """``bridge`` brings results back to the running loop (one of its own by default); ``worker`` is the thread,
        where the message has leased one already; ``lane`` is where its jobs queue for a thread."""
        self._pool = pool
        self._bridge = bridge or Bridge(asyncio.get_running_loop())
        self.loop = self._bridge.loop
        self._leased = worker
        self._lane = lane
        self._key = ThreadSensitiveContext()
        self.released = False

    def enter(self) -> None:
        """From here on, thread-sensitive code of the current context (the message's own) runs on this thread."""
        SyncToAsync.thread_sensitive_context.set(self._key)
        SyncToAsync.context_to_thread_executor[self._key] = self
        _current.set(self)

    def release(self) -> None:
        """The message has ended: its thread may serve others.

        A task that a view started and that outlives the message gets another thread from asgiref, as it does under
        Django's own handler. (``ThreadSensitiveContext(executor=...)`` would refuse it the database.)
        """
        if not self.released:
            self.released = True
            SyncToAsync.context_to_thread_executor.pop(self._key, None)
            if self._leased is not None:
                self._pool.release(self._leased)

    def __del__(self) -> None:
        self.release()

    @property
    def _worker(self) -> Worker:
        if self._leased is None:
            self._leased = self._pool.lease()
        return self._leased

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function there, in a copy of the current context, and take over what it changed in it."""
        return await self._call(self._worker.run_here, function, *args, **kwargs)

    async def call_anywhere(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same, on any thread of the pool as long as the message has none of its own."""
        if self._leased is not None:
            return await self._call(self._leased.run_here, function, *args, **kwargs)
        return await self._call(self._queue, leaving_no_connection, function, *args, **kwargs)

    def _queue(self, job: Job) -> None:
        self._pool.submit(job, self._lane)

    async def _call(
        self,
        submit: Callable[[Job], None],
        function: Callable[..., T],
        *args: Any,
        **kwargs: Any,
    ) -> T:
        future: asyncio.Future[T] = self.loop.create_future()
        context = contextvars.copy_context()

        def inside() -> T:
            # asgiref's Locals belong to a thread, and are to be seen in this one too.
            _restore_context(context)
            return function(*args, **kwargs)

        def job(worker: Worker) -> None:
            try:
                result = context.run(inside)
            except BaseException as error:  # noqa: BLE001 (handed to who waits)
                self._bridge.call(settle, future, None, error)
            else:
                self._bridge.call(settle, future, result, None)

        submit(job)
        try:
            return await future
        finally:
            _restore_context(context)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run the function there, as ``concurrent.futures`` has it."""
        future: Future[T] = Future()

        def job(worker: Worker) -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 (handed to who waits)
                future.set_exception(error)
            else:
                future.set_result(result)

        self._worker.run_here(job)
        return future


def leaving_no_connection(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """What the end of a request does on its thread, where the request ends on another one."""
    try:
        return function(*args, **kwargs)
    finally:
        for connection in connections.all(initialized_only=True):
            connection.close_if_unusable_or_obsolete()


def settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    """Give a future its outcome, unless nobody waits for it any more."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
