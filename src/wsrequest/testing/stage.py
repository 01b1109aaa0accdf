"""Where a test's connections live: an event loop, and the one thread on which synchronous code runs, the test's own.

Sessions are served by the code that serves them in production. What differs is the pool that it is given: here all
synchronous code runs where the test has its database connections, and so inside the test's transaction, one job after
the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async

from wsrequest.lifecycle.inline import transactions_kept
from wsrequest.lifecycle.threads import Job, Lane, Worker, WorkerPool
from wsrequest.session.switchboard import close_switchboard
from wsrequest.testing.recording import RecordingRunner

if TYPE_CHECKING:
    from wsrequest.testing.connection import Connection

T = TypeVar("T")

#: Seconds in which nothing happens, neither on the loop nor in a view, after which what is waited for will not come.
PATIENCE = 60.0


class _TestThread(Worker):
    """The test's thread, as the runner knows threads. Nobody has it to himself."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self.leased = False

    def run_here(self, job: Job) -> None:
        self._pool.submit(job)


class _TestPool(WorkerPool):
    """A pool of that one thread."""

    def __init__(self, put: Callable[[Callable[[], None]], None]) -> None:
        super().__init__(size=1)
        self._put = put
        self._thread = _TestThread(self)

    def submit(self, job: Job, lane: Lane | None = None) -> None:
        def work() -> None:
            with transactions_kept():
                job(self._thread)

        self._put(work)

    def lease(self) -> Worker:
        return self._thread

    def keep(self, worker: Worker) -> None:
        """It is everybody's already."""

    def release(self, worker: Worker) -> None:
        """It stays everybody's."""


class BesideTest:
    """For synchronous tests: a loop on a thread of its own. While the test waits for something, its thread does the
    work that the loop has for it."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._held = 0
        self._owner = threading.get_ident()
        self.loop = asyncio.new_event_loop()
        self.runner = RecordingRunner(_TestPool(self._jobs.put), self.loop)
        self._thread = threading.Thread(target=self._serve, name="wsrequest-testing", daemon=True)
        self._thread.start()

    def enter(self) -> None:
        """Somebody needs it: a connection, or who waits for something."""
        self._held += 1

    def leave(self) -> None:
        """Who is the last one out ends the loop. On the test's thread, or on the loop where somebody waits."""
        self._held -= 1
        if not self._held:
            if getattr(_beside, "stage", None) is self:
                del _beside.stage
            self.run(_end(self.runner))
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()

    def abandon(self, connection: Connection) -> None:
        """Nobody has closed it, and nobody can any more."""
        if threading.get_ident() == self._owner and not self.loop.is_closed():
            self.run(connection.close())
            self.leave()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it on the loop, and meanwhile its synchronous parts here."""
        # What the test has activated (a language, say) is not what a server's connections begin with.
        future = contextvars.Context().run(asyncio.run_coroutine_threadsafe, work, self.loop)
        future.add_done_callback(lambda _: self._jobs.put(None))
        try:
            while not future.done():
                self._work(self._jobs.get(timeout=PATIENCE))
        except queue.Empty:
            raise AssertionError(
                f"Nothing has happened for {PATIENCE:g} seconds: what the test waits for will not come."
            ) from None
        finally:
            future.cancel()
        with contextlib.suppress(queue.Empty):
            while True:  # what the loop has left to do, without anybody who waits for it
                self._work(self._jobs.get_nowait())
        return future.result()

    def _work(self, job: Callable[[], None] | None) -> None:
        if job is not None:
            job()

    def _serve(self) -> None:
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()


class AroundTest:
    """For asynchronous tests: the running loop. Synchronous code runs where ``sync_to_async()`` of the test runs it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.runner = RecordingRunner(_TestPool(self._put), self.loop)
        self._context = contextvars.copy_context()
        self._tasks: set[asyncio.Task[None]] = set()
        self._held = 0
        # Asynchronous views do not come by the pool for what is synchronous around them.
        self._kept = transactions_kept()
        self._keeping = self._run(self._kept.__enter__)

    def enter(self) -> None:
        """As :meth:`BesideTest.enter`."""
        self._held += 1

    def leave(self) -> None:
        self._held -= 1

    async def ready(self) -> None:
        """Wait until views may run."""
        await asyncio.shield(self._keeping)

    async def finish(self) -> None:
        """Do what is left to do; the last one out hears no broker any more."""
        if not self._held and _around.pop(self.loop, None) is not None:
            await close_switchboard(self.runner)
            await self._run(self.give_back)
        if self._tasks:  # of a stream that goes on there will be others
            await asyncio.wait(set(self._tasks))

    def give_back(self) -> None:
        """The connections that were in a transaction are the test's alone again. On any thread."""
        if self._keeping.done() and not self._keeping.cancelled():
            self._kept.__exit__(None, None, None)

    def _put(self, job: Callable[[], None]) -> None:
        self.loop.call_soon_threadsafe(self._run, job)

    def _run(self, job: Callable[[], Any]) -> asyncio.Task[None]:
        task = self.loop.create_task(_hop(job), context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _hop(job: Callable[[], Any]) -> None:
    await sync_to_async(job, thread_sensitive=True)()


async def _end(runner: RecordingRunner) -> None:
    """End what still runs on this loop."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await close_switchboard(runner)
    await asyncio.get_running_loop().shutdown_asyncgens()


_beside = threading.local()
_around: dict[asyncio.AbstractEventLoop, AroundTest] = {}


def stage_beside_test() -> BesideTest:
    """That of the calling thread: all clients that it uses share one."""
    stage: BesideTest | None = getattr(_beside, "stage", None)
    if stage is None:
        stage = _beside.stage = BesideTest()
    return stage


def stage_around_test() -> AroundTest:
    """That of the running loop."""
    loop = asyncio.get_running_loop()
    stage = _around.get(loop)
    if stage is None:
        forget_ended_loops()
        stage = _around[loop] = AroundTest()
    return stage


def forget_ended_loops() -> None:
    """Give back what tests have held that did not close their connections before their loop ended."""
    for loop in [loop for loop in _around if loop.is_closed()]:
        _around.pop(loop).give_back()
