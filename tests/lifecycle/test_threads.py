"""The worker pool and the bridge: every job once, never too many threads, no lost wake-up."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.lifecycle.support import PATIENCE
from wsrequest.lifecycle.threads import Bridge, Worker, WorkerPool

MakePool = Callable[..., WorkerPool]


@pytest.fixture
def make_pool() -> Iterator[MakePool]:
    pools: list[WorkerPool] = []

    def make(size: int, **kwargs: Callable[[], None]) -> WorkerPool:
        pools.append(WorkerPool(size, **kwargs))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close(PATIENCE)
        assert not any(worker._thread.is_alive() for worker in pool.workers)


class Done:
    """Counts down; the last one opens the gate."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.lock = threading.Lock()
        self.event = threading.Event()

    def one(self, worker: Worker | None = None) -> None:
        with self.lock:
            self.left -= 1
            if self.left == 0:
                self.event.set()

    def wait(self) -> None:
        assert self.event.wait(PATIENCE), f"{self.left} jobs were not run"


def gather_workers(pool: WorkerPool) -> list[Worker]:
    """All the pool's threads, started, each once in a job at the same time."""
    workers: list[Worker] = []
    barrier = threading.Barrier(pool.size + 1)

    def job(worker: Worker) -> None:
        workers.append(worker)
        barrier.wait(PATIENCE)

    for _ in range(pool.size):
        pool.submit(job)
    barrier.wait(PATIENCE)
    return workers


def wait_until_idle(pool: WorkerPool, count: int) -> None:
    """Until so many of its threads have parked; they do so right after their last job."""
    deadline = threading.Event()
    for _ in range(2000):
        with pool._lock:
            if len(pool._idle) == count:
                return
        deadline.wait(0.005)
    raise AssertionError(f"{len(pool._idle)} of {count} threads are idle")


def test_a_thread_is_started_when_it_is_needed(make_pool: MakePool) -> None:
    pool = make_pool(4)
    assert pool.workers == []
    done = Done(1)
    pool.submit(done.one)
    done.wait()
    assert len(pool.workers) == 1


def test_an_idle_thread_is_used_again(make_pool: MakePool) -> None:
    pool = make_pool(4)
    threads = set()
    for _ in range(20):
        done = Done(1)

        def job(worker: Worker, done: Done = done) -> None:
            threads.add(threading.get_ident())
            done.one()

        pool.submit(job)
        done.wait()
        wait_until_idle(pool, 1)
    assert len(threads) == 1


@pytest.mark.parametrize("size", [1, 2, 5])
def test_as_many_jobs_at_once_as_there_are_threads_and_no_more(
    make_pool: MakePool, size: int
) -> None:
    pool = make_pool(size)
    gather_workers(pool)  # all at once: else the barrier would break
    running = most = 0
    lock = threading.Lock()
    done = Done(200)

    def job(worker: Worker) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1
        done.one()

    for _ in range(200):
        pool.submit(job)
    done.wait()
    assert most <= size
    assert len(pool.workers) == size


def test_one_thread_runs_jobs_in_their_order(make_pool: MakePool) -> None:
    pool, done, order = make_pool(1), Done(500), []
    for number in range(500):

        def job(worker: Worker, number: int = number) -> None:
            order.append(number)
            done.one()

        pool.submit(job)
    done.wait()
    assert order == list(range(500))


def test_many_submitters_lose_no_job_and_no_wake_up(make_pool: MakePool) -> None:
    """A lost wake-up shows as a job that nobody runs, since each submitter waits for its own before the next."""
    pool = make_pool(3)
    runs: Counter[tuple[int, int]] = Counter()
    lock = threading.Lock()
    submitters, rounds = 8, 150

    def submitter(number: int) -> None:
        chance = random.Random(number)
        for round_ in range(rounds):
            burst = chance.randint(1, 4)
            done = Done(burst)
            for piece in range(burst):

                def job(
                    worker: Worker, key: tuple[int, int] = (number, round_ * 4 + piece)
                ) -> None:
                    with lock:
                        runs[key] += 1
                    done.one()  # noqa: B023 (run before the next round)

                pool.submit(job)
            done.wait()

    threads = [threading.Thread(target=submitter, args=(n,)) for n in range(submitters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert set(runs.values()) == {1}
    assert len(pool.workers) <= 3
    assert pool.waiting == 0


def test_pinned_jobs_run_on_their_thread_and_in_order(make_pool: MakePool) -> None:
    pool = make_pool(3)
    workers = gather_workers(pool)
    order: dict[Worker, list[int]] = {worker: [] for worker in workers}
    done = Done(3 * 200 + 200)

    def pinner(worker: Worker) -> None:
        for number in range(200):

            def job(runs_on: Worker, number: int = number) -> None:
                assert runs_on is worker
                assert threading.current_thread() is worker._thread
                order[worker].append(number)
                done.one()

            worker.run_here(job)

    threads = [threading.Thread(target=pinner, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for _ in range(200):
        pool.submit(done.one)
    for thread in threads:
        thread.join(PATIENCE)
    done.wait()
    assert all(numbers == list(range(200)) for numbers in order.values())


def test_a_thread_that_was_woken_for_the_pool_may_take_a_pinned_job_first(
    make_pool: MakePool,
) -> None:
    """The pool's job is then another thread's: here the pinned one can't end before it has run."""
    pool = make_pool(2)
    gather_workers(pool)
    wait_until_idle(pool, 2)
    worker = pool._idle[-1]  # the one that submit() will wake
    pool_job_ran, done = threading.Event(), Done(2)

    def pinned(worker: Worker) -> None:
        assert pool_job_ran.wait(PATIENCE)
        done.one()

    def job(worker: Worker) -> None:
        pool_job_ran.set()
        done.one()

    worker.pinned.append(pinned)  # what run_here() does first; and before it goes on,
    pool.submit(job)
    pool.unpark(worker)
    done.wait()


def test_a_thread_to_which_nothing_is_pinned_goes_first(make_pool: MakePool) -> None:
    pool = make_pool(2)
    gather_workers(pool)
    wait_until_idle(pool, 2)
    pinned = pool._idle[-1]
    pool.pin(pinned)
    ran_on: list[Worker] = []
    done = Done(1)

    def job(worker: Worker) -> None:
        ran_on.append(worker)
        done.one()

    pool.submit(job)
    done.wait()
    assert ran_on != [pinned]
    wait_until_idle(pool, 2)
    pool.release(pinned)
    assert [worker.pins for worker in pool.workers] == [0, 0]


def test_close_runs_what_is_queued_then_ends_each_thread(make_pool: MakePool) -> None:
    exits: list[int] = []
    pool = make_pool(2, on_exit=lambda: exits.append(threading.get_ident()))
    may_go, done = threading.Event(), Done(50)

    def job(worker: Worker) -> None:
        assert may_go.wait(PATIENCE)
        done.one()

    for _ in range(50):
        pool.submit(job)
    may_go.set()
    pool.close(PATIENCE)
    done.wait()
    assert len(exits) == len(set(exits)) == len(pool.workers)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(job)


def test_a_job_does_not_outlive_its_run(make_pool: MakePool) -> None:
    """Its request and response would stay in memory until the thread's next job."""
    import gc
    import weakref

    pool, done = make_pool(1), Done(1)

    def submit() -> weakref.ref[object]:
        def job(worker: Worker) -> None:
            done.one()

        pool.submit(job)
        return weakref.ref(job)

    reference = submit()
    done.wait()
    wait_until_idle(pool, 1)
    gc.collect()
    assert reference() is None


async def test_the_bridge_keeps_order_and_calls_on_the_loop() -> None:
    loop = asyncio.get_running_loop()
    bridge, calls = Bridge(loop), []
    here, done = threading.get_ident(), asyncio.Event()

    def call(number: int) -> None:
        assert threading.get_ident() == here
        calls.append(number)
        if number == 999:
            done.set()

    thread = threading.Thread(target=lambda: [bridge.call(call, number) for number in range(1000)])
    thread.start()
    await asyncio.wait_for(done.wait(), PATIENCE)
    thread.join()
    assert calls == list(range(1000))


async def test_the_bridge_wakes_the_loop_once_for_what_is_waiting() -> None:
    class Loop:
        def __init__(self) -> None:
            self.wakes: list[Callable[[], None]] = []

        def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
            self.wakes.append(callback)

    loop, calls = Loop(), []
    bridge = Bridge(loop)  # type: ignore[arg-type]
    for number in range(100):
        bridge.call(calls.append, number)
    assert len(loop.wakes) == 1
    loop.wakes[0]()
    assert calls == list(range(100))
    bridge.call(calls.append, 100)
    assert len(loop.wakes) == 2


async def test_many_threads_lose_no_call_over_the_bridge() -> None:
    loop = asyncio.get_running_loop()
    bridge, counts = Bridge(loop), Counter()
    done = asyncio.Event()

    def call(number: int) -> None:
        counts[number] += 1
        if counts.total() == 6 * 500:
            done.set()

    def caller(number: int) -> None:
        for _ in range(500):
            bridge.call(call, number)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    await asyncio.wait_for(done.wait(), PATIENCE)
    for thread in threads:
        thread.join()
    assert set(counts.values()) == {500}


async def test_a_call_that_fails_does_not_stop_those_behind_it() -> None:
    loop = asyncio.get_running_loop()
    reports: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, report: reports.append(report))
    bridge, done = Bridge(loop), asyncio.Event()
    error = ValueError("of a callback")

    def fail() -> None:
        raise error

    bridge.call(fail)
    bridge.call(done.set)
    await asyncio.wait_for(done.wait(), PATIENCE)
    assert [report["exception"] for report in reports] == [error]


def test_a_bridge_to_a_closed_loop_goes_nowhere() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    calls: list[int] = []
    bridge = Bridge(loop)
    bridge.call(calls.append, 1)
    bridge.call(calls.append, 2)
    assert calls == []
