"""The worker pool and the bridge: every job once, never too many threads, no lost wake-up."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.lifecycle.support import PATIENCE
from wsrequest.lifecycle import threads as threads_module
from wsrequest.lifecycle.threads import Bridge, Job, Lane, Worker, WorkerPool

MakePool = Callable[..., WorkerPool]


@pytest.fixture
def make_pool() -> Iterator[MakePool]:
    pools: list[WorkerPool] = []

    def make(size: int, **kwargs: Callable[[], None]) -> WorkerPool:
        pools.append(WorkerPool(size, **kwargs))
        return pools[-1]

    yield make
    for pool in pools:
        workers = set(pool.workers)
        assert not any(worker.leased for worker in workers)
        pool.close(PATIENCE)
        assert not any(worker._thread.is_alive() for worker in workers | pool.workers)


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


def wait_until(condition: Callable[[], bool]) -> None:
    """For what threads do by themselves right after their last job."""
    pause = threading.Event()
    for _ in range(4000):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it did not come to that")


def wait_until_parked(pool: WorkerPool, count: int) -> None:
    wait_until(lambda: len(pool._parked) == count)


def noting(note: Callable[[Worker], object], done: Done) -> Job:
    """A job that says where it ran."""

    def job(worker: Worker) -> None:
        note(worker)
        done.one()

    return job


def run_on(worker: Worker, function: Callable[[], object] = bool) -> None:
    """Run it on a leased thread, and wait."""
    done = Done(1)

    def job(runs_on: Worker) -> None:
        assert runs_on is worker
        assert threading.current_thread() is worker._thread
        function()
        done.one()

    worker.run_here(job)
    done.wait()


def test_a_thread_is_started_when_it_is_needed(make_pool: MakePool) -> None:
    pool = make_pool(4)
    assert pool.workers == set()
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
        wait_until_parked(pool, 1)
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


def test_jobs_for_a_leased_thread_run_on_it_alone_and_in_order(make_pool: MakePool) -> None:
    pool = make_pool(3)
    workers = [pool.lease() for _ in range(5)]
    assert len(set(workers)) == 5
    order: dict[Worker, list[int]] = {worker: [] for worker in workers}
    done = Done(5 * 200 + 200)
    strangers = []

    def feed(worker: Worker) -> None:
        for number in range(200):

            def job(runs_on: Worker, number: int = number) -> None:
                assert runs_on is worker
                assert threading.current_thread() is worker._thread
                order[worker].append(number)
                done.one()

            worker.run_here(job)

    def pool_job(worker: Worker) -> None:
        if worker in order:
            strangers.append(worker)
        done.one()

    threads = [threading.Thread(target=feed, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for _ in range(200):
        pool.submit(pool_job)
    for thread in threads:
        thread.join(PATIENCE)
    done.wait()
    assert all(numbers == list(range(200)) for numbers in order.values())
    assert strangers == []
    for worker in workers:
        pool.release(worker)


@pytest.mark.parametrize("size", [1, 3])
def test_leases_come_on_top_of_the_threads_for_jobs(make_pool: MakePool, size: int) -> None:
    pool = make_pool(size)
    leased = [pool.lease() for _ in range(6)]
    workers = gather_workers(pool)  # as many at once as ever: else the barrier would break
    assert set(workers).isdisjoint(leased)
    assert pool.workers == {*workers, *leased}
    running = most = 0
    lock, done = threading.Lock(), Done(200)

    def job(worker: Worker) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.0005)
        with lock:
            running -= 1
        done.one()

    for number in range(200):
        if number == 100:  # and they may take jobs again, in other threads' stead
            for worker in leased:
                pool.release(worker)
        pool.submit(job)
    done.wait()
    assert most == size


def test_a_leased_thread_is_used_again(make_pool: MakePool) -> None:
    pool = make_pool(2)
    seen = set()
    for _ in range(10):
        worker = pool.lease()
        run_on(worker)
        pool.release(worker)
        wait_until_parked(pool, 1)
        seen.add(worker)
    assert len(seen) == len(pool.workers) == 1
    done = Done(1)
    pool.submit(noting(seen.add, done))
    done.wait()
    assert len(seen) == 1


def test_a_thread_that_keeps_itself_leaves_its_place_to_another(make_pool: MakePool) -> None:
    """As a synchronous view does that returns a stream: with one thread for jobs, the next job needs another."""
    pool, kept, done = make_pool(1), [], Done(1)
    may_end = threading.Event()

    def stream(worker: Worker) -> None:
        pool.keep(worker)
        kept.append(worker)
        assert may_end.wait(PATIENCE)

    others: list[Worker] = []
    pool.submit(stream)
    pool.submit(noting(others.append, done))
    done.wait()  # while the first one still is in its job
    assert others != kept
    may_end.set()
    run_on(kept[0])
    pool.release(kept[0])
    wait_until_parked(pool, 1)
    assert pool._active == 0


def test_jobs_that_wait_while_a_thread_keeps_itself_are_not_forgotten(make_pool: MakePool) -> None:
    """Each job keeps its thread, and nobody submits another one: only ``keep`` can see to those that wait."""
    pool, kept, done = make_pool(2), [], Done(30)
    lock = threading.Lock()

    def job(worker: Worker) -> None:
        pool.keep(worker)
        with lock:
            kept.append(worker)
        done.one()

    for _ in range(30):
        pool.submit(job)
    done.wait()
    assert len(set(kept)) == 30
    for worker in kept:
        pool.release(worker)
    wait_until(lambda: pool._active == 0)


def test_release_while_its_last_job_runs(make_pool: MakePool) -> None:
    """A view that nobody waits for goes on; its thread is nobody else's before it ends."""
    pool = make_pool(1)
    worker = pool.lease()
    entered, may_end = threading.Event(), threading.Event()

    def job(runs_on: Worker) -> None:
        entered.set()
        assert may_end.wait(PATIENCE)

    worker.run_here(job)
    assert entered.wait(PATIENCE)
    pool.release(worker)
    other = pool.lease()
    assert other is not worker
    done, ran_on = Done(1), []
    pool.submit(noting(ran_on.append, done))
    done.wait()
    assert worker not in ran_on
    may_end.set()
    wait_until(lambda: worker.asleep)
    pool.release(other)


def test_surplus_threads_end_after_a_while(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads_module, "SPARE_TIME", 0.05)
    exits: list[int] = []
    pool = make_pool(2, on_exit=lambda: exits.append(threading.get_ident()))
    leased = [pool.lease() for _ in range(8)]
    for worker in leased:
        run_on(worker)
    assert exits == []
    for worker in leased:
        pool.release(worker)
    wait_until(lambda: len(exits) == 6)
    assert len(set(exits)) == 6
    gone = [worker for worker in leased if worker not in pool.workers]
    assert {worker._thread.ident for worker in gone} == set(exits)
    for worker in gone:
        worker.join(PATIENCE)
        assert not worker._thread.is_alive()
    assert len(pool.workers) == len(pool._parked) == 2
    # Those that are left do all that there is to do.
    run_on(worker := pool.lease())
    pool.release(worker)
    gather_workers(pool)
    assert len(exits) == 6


def test_threads_that_are_not_too_many_stay(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads_module, "SPARE_TIME", 0.01)
    exits: list[int] = []
    pool = make_pool(2, on_exit=lambda: exits.append(threading.get_ident()))
    workers = gather_workers(pool)
    wait_until_parked(pool, 2)
    assert [worker.patience for worker in workers] == [-1, -1]
    assert exits == []


def test_a_thread_that_is_leased_as_its_patience_ends_stays(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases and SPARE_TIME meet in every order; a job for a thread that has gone would never run."""
    monkeypatch.setattr(threads_module, "SPARE_TIME", 0.001)
    exits: list[int] = []
    pool = make_pool(1, on_exit=lambda: exits.append(threading.get_ident()))
    chance, pause = random.Random(11), threading.Event()
    for _ in range(300):
        workers = [pool.lease() for _ in range(3)]
        for worker in workers:
            run_on(worker)
            pool.release(worker)
        pause.wait(chance.random() * 0.002)
    wait_until(lambda: len(pool.workers) == 1)
    assert len(set(exits)) <= len(exits)
    assert exits


class Stress:
    """Many users of one pool, who lease, keep, release and submit at random, and who watch each other."""

    ROUNDS = 120

    def __init__(self, pool: WorkerPool) -> None:
        self.pool = pool
        self.problems: list[str] = []
        self.ran: Counter[str] = Counter()
        self.most = 0
        self._active = 0
        self._owners: dict[Worker, int] = {}
        self._lock = threading.Lock()

    def use(self, user: int) -> None:
        chance = random.Random(user)
        for _ in range(self.ROUNDS):
            owned: list[Worker] = []
            count, keep = chance.randint(1, 3), chance.random() < 0.4
            done = Done(count)
            for _ in range(count):
                self.pool.submit(self._pool_job(done, user, owned if keep else None))
            leases = chance.randint(0, 2)
            owned.extend(self._owned(self.pool.lease(), user) for _ in range(leases))
            done.wait()
            for worker in owned:
                self._give_back(worker, user, chance.randint(0, 3))

    def _give_back(self, worker: Worker, user: int, jobs: int) -> None:
        done = Done(jobs)
        for _ in range(jobs):
            worker.run_here(self._own_job(done, worker, user))
        if jobs:
            done.wait()
        with self._lock:
            del self._owners[worker]
        self.pool.release(worker)

    def _owned(self, worker: Worker, user: int) -> Worker:
        with self._lock:
            if worker in self._owners:
                self.problems.append("leased twice")
            self._owners[worker] = user
        return worker

    def _pool_job(self, done: Done, user: int, keeping: list[Worker] | None) -> Job:
        def job(worker: Worker) -> None:
            with self._lock:
                self._active += 1
                self.most = max(self.most, self._active)
                if worker in self._owners:
                    self.problems.append("a pool job on a leased thread")
            with self._lock:
                self._active -= 1
                self.ran["pool"] += 1
            if keeping is not None:
                self.pool.keep(worker)
                keeping.append(self._owned(worker, user))
            done.one()

        return job

    def _own_job(self, done: Done, worker: Worker, user: int) -> Job:
        def job(runs_on: Worker) -> None:
            with self._lock:
                if runs_on is not worker or self._owners.get(worker) != user:
                    self.problems.append("a job on another's thread")
                self.ran["own"] += 1
            done.one()

        return job


def test_random_leases_and_jobs_lose_no_wake_up(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost wake-up shows as a user that does not end; at last all threads park, and those too many have gone."""
    monkeypatch.setattr(threads_module, "SPARE_TIME", 0.002)
    pool = make_pool(3)
    stress = Stress(pool)
    users = [threading.Thread(target=stress.use, args=(number,)) for number in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join(PATIENCE * 3)
        assert not user.is_alive()
    assert stress.problems == []
    assert stress.most <= 3
    assert stress.ran["pool"] >= stress.ROUNDS * 8
    assert stress.ran["own"] > 0
    assert pool.waiting == 0
    wait_until(lambda: len(pool.workers) <= 3)
    wait_until(lambda: len(pool._parked) == len(pool.workers))
    assert pool._active == 0


@pytest.mark.parametrize("seed", range(5))
def test_closing_beside_submitters_runs_what_was_taken(make_pool: MakePool, seed: int) -> None:
    """A job runs exactly where ``submit`` did not raise; and no thread stays."""
    chance = random.Random(seed)
    pool = make_pool(3)
    taken, ran = Counter[int](), Counter[int]()
    lock = threading.Lock()

    def submitter(number: int) -> None:
        while True:

            def job(worker: Worker) -> None:
                with lock:
                    ran[number] += 1

            try:
                pool.submit(job)
            except RuntimeError:
                return
            taken[number] += 1
            if chance.random() < 0.3:
                pool.release(pool.lease())

    threads = [threading.Thread(target=submitter, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: taken.total() > 200 * (seed + 1))
    pool.close(PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    wait_until(lambda: not pool.workers)
    assert ran == taken


def test_a_leased_thread_outlives_close_until_it_is_released(make_pool: MakePool) -> None:
    pool = make_pool(2)
    worker = pool.lease()
    pool.close(PATIENCE)
    run_on(worker)
    assert worker._thread.is_alive()
    pool.release(worker)
    worker.join(PATIENCE)
    assert not worker._thread.is_alive()
    assert pool.workers == set()


def test_the_garbage_collector_may_release_at_any_moment(make_pool: MakePool) -> None:
    """Also while this very thread holds the pool's lock."""
    pool = make_pool(2)
    worker = pool.lease()

    def collect() -> None:
        with pool._lock:
            pool.release(worker)

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert pool._parked == [worker]


def test_close_runs_what_is_queued_then_ends_each_thread(make_pool: MakePool) -> None:
    exits: list[int] = []
    pool = make_pool(2, on_exit=lambda: exits.append(threading.get_ident()))
    gather_workers(pool)
    may_go, done = threading.Event(), Done(50)

    def job(worker: Worker) -> None:
        assert may_go.wait(PATIENCE)
        done.one()

    for _ in range(50):
        pool.submit(job)
    may_go.set()
    pool.close(PATIENCE)
    done.wait()
    assert len(exits) == len(set(exits)) == 2
    assert pool.workers == set()
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
    wait_until_parked(pool, 1)
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


class Queue:
    """A pool of one thread that is busy until :meth:`run`, so that jobs queue up; ``order`` says how they ran."""

    def __init__(self, pool: WorkerPool) -> None:
        self.pool = pool
        self.order: list[str] = []
        self.hogged: dict[str, bool] = {}
        self._expected = 0
        self._ran = threading.Semaphore(0)
        self._gate = threading.Event()
        started = threading.Event()

        def block(worker: Worker) -> None:
            started.set()
            assert self._gate.wait(PATIENCE)

        pool.submit(block, Lane())
        assert started.wait(PATIENCE)

    def add(self, name: str, lane: Lane | None, count: int = 1) -> None:
        for number in range(count):

            def job(worker: Worker, label: str = f"{name}{number}") -> None:
                self.order.append(label)
                self.hogged[label] = self.pool.hogged
                self._ran.release()

            self.pool.submit(job, lane)
            self._expected += 1

    def run(self) -> None:
        self._gate.set()
        for _ in range(self._expected):
            assert self._ran.acquire(timeout=PATIENCE)


def test_lanes_take_turns(make_pool: MakePool) -> None:
    queue = Queue(make_pool(1))
    one, two = Lane(), Lane()
    queue.add("a", one, 4)
    queue.add("b", two, 2)
    queue.run()
    assert queue.order == ["a0", "b0", "a1", "b1", "a2", "a3"]


def test_who_comes_late_waits_for_one_job_of_each_lane(make_pool: MakePool) -> None:
    queue = Queue(make_pool(1))
    flood, late = Lane(), Lane()
    queue.add("flood", flood, 3)
    queue.add("none", None)
    queue.add("late", late)
    queue.run()
    assert queue.order == ["flood0", "late0", "flood1", "none0", "flood2"]


def test_jobs_without_a_lane_that_never_end_keep_no_lane_waiting(make_pool: MakePool) -> None:
    """As handshakes do, while many open connections: each comes before the one in front of it is done."""
    pool, lane = make_pool(1), Lane()
    queue = Queue(pool)
    queue.add("first", lane)
    others = Done(20)

    def handshake(worker: Worker) -> None:
        queue.order.append("handshake")
        others.one()
        if others.left:
            pool.submit(handshake)

    pool.submit(handshake)
    queue.add("second", lane)
    queue.run()
    others.wait()
    assert queue.order.index("second0") <= 3


def test_a_lane_has_no_credit_for_the_time_in_which_it_was_empty(make_pool: MakePool) -> None:
    pool, busy, idle = make_pool(1), Lane(), Lane()
    queue = Queue(pool)
    queue.add("busy", busy, 50)
    queue.run()
    queue = Queue(pool)
    queue.add("busy", busy, 3)
    queue.add("idle", idle, 3)
    queue.run()
    assert queue.order == ["idle0", "busy0", "idle1", "busy1", "idle2", "busy2"]


def test_hogged_is_a_pool_where_one_of_several_lanes_has_many_jobs_waiting(
    make_pool: MakePool,
) -> None:
    queue = Queue(make_pool(1))
    flood, other = Lane(), Lane()
    queue.add("flood", flood, threads_module.MANY_TURNS + 2)
    queue.add("other", other, 3)
    queue.run()
    assert queue.order[:6] == ["flood0", "other0", "flood1", "other1", "flood2", "other2"]
    assert queue.hogged["other0"]
    assert queue.hogged["other1"]
    assert not queue.hogged["other2"]  # one turn later, it is not as many any more


def test_one_lane_alone_hogs_nothing(make_pool: MakePool) -> None:
    queue = Queue(make_pool(1))
    queue.add("flood", Lane(), 3 * threads_module.MANY_TURNS)
    queue.run()
    assert queue.hogged.pop("flood0")  # the pool's thread was somebody else's before
    assert not any(queue.hogged.values())
