"""A bounded pool of threads for synchronous code, made for many short jobs.

``ThreadPoolExecutor`` wakes a thread and the event loop once per job; at 0.2 ms a job that is a good part of the bill.
Here a thread takes the next job by itself as long as there is one, at most one thread at a time is being woken
(the rule for spinning threads in Go's scheduler, https://go.dev/src/runtime/proc.go), and results come back to
a loop in batches.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

#: A job is given the thread that runs it, and must not raise.
Job = Callable[["Worker"], None]


class Worker:
    """One thread of the pool.

    It runs the pool's jobs and those that are pinned to it: a message whose synchronous parts come one after the
    other (the hooks around an async view, the chunks of a stream) needs all of them on one thread, where its database
    connection and asgiref's Locals are. Between two of them the thread is free for others.
    """

    def __init__(self, pool: WorkerPool, number: int) -> None:
        self._pool = pool
        #: How many messages are pinned to this thread.
        self.pins = 0
        self.pinned: deque[Job] = deque()
        # A lock used as a gate: held while the thread is to sleep, released once for each waking.
        self.gate = threading.Lock()
        self.gate.acquire()
        self._thread = threading.Thread(target=self._run, name=f"wsrequest-{number}", daemon=True)
        self._thread.start()

    def run_here(self, job: Job) -> None:
        """Queue a job for this very thread, before those of the pool."""
        self.pinned.append(job)
        self._pool.unpark(self)

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)

    def _run(self) -> None:
        pool = self._pool
        while True:
            self.gate.acquire()
            pool.woken()
            while (job := pool.next_job(self)) is not None:
                job(self)
                del job  # or its request and response would live until the next one comes
            if pool.closed:
                pool.leave(self)
                return


class WorkerPool:
    """At most ``size`` threads, started when they are needed and then kept, so that database connections are reused.

    ``on_exit`` is called by each thread as it ends (after :meth:`close`). Any thread may call any method.
    """

    def __init__(self, size: int, on_exit: Callable[[], None] | None = None) -> None:
        self.size = size
        self.workers: list[Worker] = []
        self.closed = False
        self._on_exit = on_exit
        self._jobs: deque[Job] = deque()
        self._idle: list[Worker] = []
        self._waking = False  # a thread is on its way to next_job()
        self._lock = threading.Lock()

    def submit(self, job: Job) -> None:
        """Run the job on any thread; jobs start in the order of the calls. Raises RuntimeError once closed."""
        if self.closed:
            raise RuntimeError("The worker pool is closed.")
        self._jobs.append(job)
        if not self._waking:
            self._wake_one()

    def pin(self, worker: Worker) -> None:
        """A message wants its further jobs on this thread: spare it, where there is a choice, until :meth:`release`."""
        with self._lock:
            worker.pins += 1

    def release(self, worker: Worker) -> None:
        """A message that was pinned to this thread has ended."""
        with self._lock:
            worker.pins -= 1

    @property
    def waiting(self) -> int:
        """Jobs that no thread has taken yet."""
        return len(self._jobs)

    def close(self, timeout: float | None = None) -> None:
        """Let the threads finish what is queued, and end; wait for each up to ``timeout`` seconds."""
        with self._lock:
            self.closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.gate.release()
        for worker in list(self.workers):
            worker.join(timeout)

    # What follows is called by Worker.

    def woken(self) -> None:
        self._waking = False

    def next_job(self, worker: Worker) -> Job | None:
        """The next job of this worker; None parks it, and it then waits at its gate."""
        while True:
            try:
                job = (worker.pinned or self._jobs).popleft()
            except IndexError:
                with self._lock:
                    # Nothing may come between this look and the parking: hence the lock, here and where jobs come in.
                    if self._jobs or worker.pinned:
                        continue
                    if not self.closed:
                        self._idle.append(worker)
                    return None
            if self._jobs and not self._waking:
                self._wake_one()
            return job

    def unpark(self, worker: Worker) -> None:
        """Make sure that this worker looks for jobs."""
        with self._lock:
            if worker not in self._idle:
                return
            self._idle.remove(worker)
        worker.gate.release()

    def leave(self, worker: Worker) -> None:
        if self._on_exit is not None:
            self._on_exit()

    def _wake_one(self) -> None:
        with self._lock:
            if not self._idle:
                if len(self.workers) == self.size or self.closed:
                    return
                self._start()
            # A thread to which no message is pinned goes first, so that a long job makes none of them wait.
            worker = self._idle[-1]
            if worker.pins:
                worker = min(self._idle, key=_pins)
            self._idle.remove(worker)
            self._waking = True
        worker.gate.release()

    def _start(self) -> None:
        worker = Worker(self, len(self.workers))
        self.workers.append(worker)
        self._idle.append(worker)


def _pins(worker: Worker) -> int:
    return worker.pins


class Bridge:
    """The way from any thread back to one event loop: one wake-up for however many calls are waiting."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._scheduled = False

    def call(self, callback: Callable[..., object], *args: Any) -> None:
        """Call it soon on the loop; calls keep their order. Nothing happens once the loop is closed."""
        self._calls.append((callback, args))
        if not self._scheduled:
            self._scheduled = True
            try:
                self.loop.call_soon_threadsafe(self._drain)
            except RuntimeError:
                self._calls.clear()

    @property
    def waiting(self) -> int:
        """Calls that the loop has not made yet."""
        return len(self._calls)

    def _drain(self) -> None:
        self._scheduled = False  # before looking: what comes in from here on schedules again
        while self._calls:
            callback, args = self._calls.popleft()
            try:
                callback(*args)
            except Exception as error:  # noqa: BLE001 (the calls after it are still to be made)
                self.loop.call_exception_handler(
                    {"message": f"{callback!r} failed", "exception": error}
                )
