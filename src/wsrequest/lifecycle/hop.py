"""One thread for one message: where an asynchronous view's synchronous surroundings run.

asgiref gives each request a thread of its own, and wakes it and the loop once for every hop. Here a message's first hop
is taken by whichever thread of the pool is free, and the later ones follow it there.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
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

from wsrequest.lifecycle.threads import Bridge, Job, Worker, WorkerPool

P = ParamSpec("P")
T = TypeVar("T")

_current: contextvars.ContextVar[MessageThread] = contextvars.ContextVar("wsrequest.message_thread")


async def hop(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``sync_to_async(function, thread_sensitive=True)``, on the message's thread where there is one."""
    thread = _current.get(None)
    # A thread that waits in async_to_sync() serves its own hops; a job queued for it would wait for ever.
    if thread is None or getattr(AsyncToSync.executors, "current", None) is not None:
        return await sync_to_async(function, thread_sensitive=True)(*args, **kwargs)
    return await thread.call(function, *args, **kwargs)


class MessageThread(Executor):
    """The thread of one message, found with its first job. As an ``Executor`` it serves asgiref's ``sync_to_async``."""

    def __init__(
        self, pool: WorkerPool, bridge: Bridge | None = None, worker: Worker | None = None
    ) -> None:
        """``bridge`` brings results back to the running loop (one of its own by default). ``worker`` is the thread
        where the message has one already, which then is the caller's to release."""
        self._pool = pool
        self._bridge = bridge or Bridge(asyncio.get_running_loop())
        self._lock = threading.Lock()
        self._worker = worker
        self._early: list[Job] | None = (
            None  # jobs that came while the first one was waiting for a thread
        )
        self._released = False

    def enter(self) -> None:
        """From here on, thread-sensitive code of the current context runs on this thread.

        It is not taken back: the context is the message's own. A task that a view started and that outlives the
        message goes on as it would under Django's own handler, where ``ThreadSensitiveContext(executor=...)`` would
        refuse it the database.
        """
        key = ThreadSensitiveContext()
        SyncToAsync.thread_sensitive_context.set(key)
        SyncToAsync.context_to_thread_executor[key] = self
        _current.set(self)

    def release(self) -> None:
        """The message has ended: its thread need not be spared for it any more."""
        with self._lock:
            self._released = True
            worker = self._worker
        if worker is not None:
            self._pool.release(worker)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the function there, in a copy of the current context, and take over what it changed in it."""
        future: asyncio.Future[T] = self._bridge.loop.create_future()
        context = contextvars.copy_context()

        def inside() -> T:
            _restore_context(
                context
            )  # asgiref's Locals belong to a thread, and are to be seen in this one too
            return function(*args, **kwargs)

        def job(worker: Worker) -> None:
            try:
                result = context.run(inside)
            except BaseException as error:  # noqa: BLE001 (handed to who waits)
                self._bridge.call(settle, future, None, error)
            else:
                self._bridge.call(settle, future, result, None)

        self._run(job)
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

        self._run(job)
        return future

    def _run(self, job: Job) -> None:
        with self._lock:
            if self._worker is None:
                if self._early is None:
                    self._early = []
                    self._pool.submit(lambda worker: self._begin(worker, job))
                else:
                    self._early.append(job)
                return
        self._worker.run_here(job)

    def _begin(self, worker: Worker, job: Job) -> None:
        with self._lock:
            self._worker = worker
            for waiting in self._early or ():
                worker.run_here(waiting)
            if not self._released:
                self._pool.pin(worker)
        job(worker)


def settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    """Give a future its outcome, unless nobody waits for it any more."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
