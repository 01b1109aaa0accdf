"""Threads for synchronous code, made for many short jobs.

``ThreadPoolExecutor`` wakes a thread and the event loop once per job; at 0.2 ms a job that is a good part of the bill.
Here a thread takes the next job by itself as long as there is one, at most one thread at a time is being woken
(the rule for spinning threads in Go's scheduler, https://go.dev/src/runtime/proc.go), and results come back to
a loop in batches.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import heapq
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

#: A job is given the thread that runs it, and must not raise.
Job = Callable[["Worker"], None]

#: Seconds after which a thread that is one too many ends.
SPARE_TIME = 10.0

#: Jobs of one lane that wait, from which on it holds up the others.
MANY_TURNS = 10

#: Gives up the interpreter and the processor, for as long as anybody else wants them.
let_others_run: Callable[[], None] = getattr(os, "sched_yield", functools.partial(time.sleep, 0))


class Lane:
    """Whose jobs these are: among lanes that have jobs waiting, a pool's threads take one from each in turn.

    So somebody with many jobs delays nobody by more than one of them. This is start-time fair queueing
    (https://doi.org/10.1145/248157.248171) with jobs of one size: a lane's next job has a turn of its own, after all
    turns that have begun already.
    """

    __slots__ = ("next",)

    def __init__(self) -> None:
        #: The turn before which no further job of this lane is taken. One thread at a time submits to a lane.
        self.next = 0


class Worker:
    """A thread. It runs the pool's jobs, or while it is leased those of one message only.

    A message whose synchronous parts come one after the other (the hooks around an async view, the chunks of a stream)
    has a thread to itself, as under Django's own handler: a database connection's state, a cursor, a tenant in a
    ``threading.local`` are all its own from the first part to the last.
    """

    def __init__(self, pool: WorkerPool, number: int) -> None:
        self._pool = pool
        #: Jobs for this very thread.
        self.jobs: deque[Job] = deque()
        # Under the pool's lock: what this thread may do, and whether somebody has to open the gate for it.
        self.leased = False
        self.active = False
        self.asleep = True
        self.patience = -1.0
        # A lock used as a gate: held while the thread is to sleep, released once for each waking.
        self.gate = threading.Lock()
        self.gate.acquire()
        self._thread = threading.Thread(target=self._run, name=f"wsrequest-{number}", daemon=True)
        self._thread.start()

    def run_here(self, job: Job) -> None:
        """Queue a job for this very thread."""
        self.jobs.append(job)
        self._pool.wake(self)

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)

    def _run(self) -> None:
        pool = self._pool
        while True:
            if not self.gate.acquire(timeout=self.patience):
                if pool.dismiss(self):
                    break
                self.gate.acquire()  # a lease, or a job that is just coming
            pool.woken(self)
            while (job := pool.next_job(self)) is not None:
                job(self)
                del job  # or its request and response would live until the next one comes
            if pool.closed and pool.dismiss(self):
                break
        pool.leave(self)


class WorkerPool:
    """At most ``size`` threads that take jobs, and one more for each lease.

    Threads are started when they are needed and then kept, so that database connections are reused; those beyond
    ``size`` end when they have had nothing to do for SPARE_TIME. ``on_exit`` is called by each thread as it ends.
    Any thread may call any method.
    """

    def __init__(self, size: int, on_exit: Callable[[], None] | None = None) -> None:
        self.size = size
        #: All threads that there are.
        self.workers: set[Worker] = set()
        #: How many of them belong to one message.
        self.leased = 0
        self.closed = False
        self._on_exit = on_exit
        # A heap, by turn and then by number. Its functions are as good as a deque's methods with many threads: they are
        # written in C, and compare nothing but integers, so that no other thread gets between.
        self._jobs: list[tuple[int, int, Job]] = []
        self._count = itertools.count()
        self._turn = 0  # of the job that was taken last
        self._last_turn = 0  # of all that were given
        self._shared = False  # the two jobs that were taken last are of different lanes
        self._active = 0  # threads that take jobs
        self._parked: list[Worker] = []  # threads that do nothing and belong to nobody
        self._waking = False  # a thread is on its way to next_job()
        self._numbers = itertools.count()
        # Reentrant: the garbage collector may come at any moment, and release what a lost message had leased.
        self._lock = threading.RLock()

    def submit(self, job: Job, lane: Lane | None = None) -> None:
        """Run the job on any thread; jobs of one lane start in the order of the calls. Raises RuntimeError once
        closed."""
        if lane is None:
            # In the present one, handshakes without end would keep the next one from coming.
            turn = self._turn + 1
        else:
            turn = max(self._turn, lane.next)
            lane.next = turn + 1
            if turn > self._last_turn:
                self._last_turn = turn
        entry = (turn, next(self._count), job)
        heapq.heappush(self._jobs, entry)
        if self.closed:  # asked after queueing: the last thread looks once more after this was set
            with contextlib.suppress(ValueError):  # a thread was faster: then it runs
                self._jobs.remove(entry)  # it may be no heap any more; but no turn matters now
                raise RuntimeError("The worker pool is closed.")
        if not self._waking:
            self._wake_one()

    def lease(self) -> Worker:
        """A thread for one message alone, until :meth:`release`."""
        with self._lock:
            worker = self._parked.pop() if self._parked else self._start()
            worker.leased = True
            self.leased += 1
            return worker

    def keep(self, worker: Worker) -> None:
        """Lease the very thread that runs the calling job; another one takes the pool's jobs in its place."""
        with self._lock:
            worker.leased = True
            self.leased += 1
            worker.active = False
            self._active -= 1
        if self._jobs and not self._waking:
            self._wake_one()

    def release(self, worker: Worker) -> None:
        """The message that leased this thread has ended, and has no more jobs for it."""
        with self._lock:
            worker.leased = False
            self.leased -= 1
            if not worker.asleep:
                return  # it parks by itself
            if len(self._parked) < self.size and not self.closed:
                self._parked.append(worker)
                return
            worker.asleep = False
        worker.gate.release()  # one too many: let it look at the clock

    @property
    def waiting(self) -> int:
        """Jobs that no thread has taken yet."""
        return len(self._jobs)

    @property
    def hogged(self) -> bool:
        """Whether somebody has many jobs waiting while others, too, have some."""
        return self._shared and self._last_turn - self._turn >= MANY_TURNS

    def close(self, timeout: float | None = None) -> None:
        """Let the threads finish what is queued, and end; wait for them up to ``timeout`` seconds. Leased ones end when
        they are released."""
        with self._lock:
            self.closed = True
        deadline = None if timeout is None else time.monotonic() + timeout
        # A thread may still be started meanwhile, for a job that came in at the last moment.
        while workers := self._unleased():
            for worker in workers:
                self.wake(worker)
            for worker in workers:
                worker.join(None if deadline is None else max(0, deadline - time.monotonic()))
            if deadline is not None and time.monotonic() >= deadline:
                return

    def _unleased(self) -> list[Worker]:
        with self._lock:
            return [worker for worker in self.workers if not worker.leased]

    # What follows is called by Worker.

    def wake(self, worker: Worker) -> None:
        """Make sure that this worker looks for jobs."""
        with self._lock:
            if not worker.asleep:
                return
            worker.asleep = False
            if worker in self._parked:
                self._parked.remove(worker)
        worker.gate.release()

    def woken(self, worker: Worker) -> None:
        if worker.active:
            self._waking = False

    def next_job(self, worker: Worker) -> Job | None:
        """The next job of this worker; None sends it to its gate."""
        while True:
            if worker.jobs:
                return worker.jobs.popleft()
            if worker.active and self._jobs:
                try:
                    turn, _, job = heapq.heappop(self._jobs)
                except IndexError:  # another thread was faster
                    continue
                self._shared = turn == self._turn
                self._turn = turn
                if self._jobs and not self._waking:
                    self._wake_one()
                return job
            with self._lock:
                # Nothing may come between this look and going to sleep: hence the lock, here and where jobs come in.
                if worker.jobs or (worker.active and self._jobs):
                    continue
                if worker.active:
                    worker.active = False
                    self._active -= 1
                worker.asleep = True
                worker.patience = -1.0
                if not worker.leased:
                    if len(self._parked) >= self.size:
                        worker.patience = SPARE_TIME
                    self._parked.append(worker)
                return None

    def dismiss(self, worker: Worker) -> bool:
        """A parked thread has lost patience, or the pool is closed: whether it may go. (Somebody may just be opening
        its gate.)"""
        with self._lock:
            worker.patience = -1.0
            if worker.leased or not worker.asleep:
                return False
            self._parked.remove(worker)
            return True

    def leave(self, worker: Worker) -> None:
        try:
            if self._on_exit is not None:
                self._on_exit()
        finally:
            with self._lock:
                self.workers.discard(worker)

    def _wake_one(self) -> None:
        with self._lock:
            if self._active == self.size or self._waking:
                return
            if self.closed and self._active and not self._parked:
                return  # those that are at work finish the rest: no thread is started to end at once
            worker = self._parked.pop() if self._parked else self._start()
            worker.asleep = False
            worker.active = True
            self._active += 1
            self._waking = True
        worker.gate.release()

    def _start(self) -> Worker:
        worker = Worker(self, next(self._numbers))
        self.workers.add(worker)
        return worker


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
