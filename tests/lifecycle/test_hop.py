"""A message's thread: its own from its first job there to its end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.utils import translation

from tests.lifecycle.support import PATIENCE
from wsrequest.lifecycle.hop import MessageThread, hop, hop_anywhere
from wsrequest.lifecycle.threads import WorkerPool

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(2)
    yield pool
    pool.close(PATIENCE)


class Busy:
    """Keeps the message's thread until it is told otherwise."""

    def __init__(self, thread: MessageThread) -> None:
        self.may_go = threading.Event()
        thread.submit(self.may_go.wait, PATIENCE)


async def all_sleep(pool: WorkerPool) -> None:
    """A thread is free right after its job's result has come."""
    async with asyncio.timeout(PATIENCE):
        while not all(worker.asleep for worker in pool.workers):  # noqa: ASYNC110 (a thread's, no event tells it)
            await asyncio.sleep(0.001)


async def test_all_hops_are_on_one_thread_of_the_pool(pool: WorkerPool) -> None:
    MessageThread(pool).enter()
    threads = {await hop(threading.get_ident) for _ in range(5)}
    threads.add(await sync_to_async(threading.get_ident)())
    assert len(threads) == 1
    assert threads <= {worker._thread.ident for worker in pool.workers}


async def test_jobs_that_wait_for_the_thread_follow_in_order(pool: WorkerPool) -> None:
    thread = MessageThread(pool)
    busy = Busy(thread)
    order: list[tuple[int, int]] = []
    futures = [
        thread.submit(lambda number=number: order.append((number, threading.get_ident())))
        for number in range(20)
    ]
    busy.may_go.set()
    for future in futures:
        await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE)
    assert [number for number, _ in order] == list(range(20))
    assert len({ident for _, ident in order}) == 1


async def test_a_job_that_was_cancelled_in_the_queue_does_not_run(pool: WorkerPool) -> None:
    thread = MessageThread(pool)
    busy = Busy(thread)
    ran: list[int] = []
    first, second = thread.submit(ran.append, 1), thread.submit(ran.append, 2)
    assert first.cancel()
    busy.may_go.set()
    await asyncio.wait_for(asyncio.wrap_future(second), PATIENCE)
    assert ran == [2]


async def test_what_is_raised_there_is_raised_here(pool: WorkerPool) -> None:
    MessageThread(pool).enter()

    def fail(kind: type[BaseException]) -> None:
        raise kind("there")

    for kind in (ValueError, SystemExit):
        with pytest.raises(kind, match="there"):
            await hop(fail, kind)
    with pytest.raises(ValueError, match="there"):
        await sync_to_async(fail)(ValueError)
    assert await hop(len, "abc") == 3


async def test_what_it_changes_in_the_context_is_seen_here(pool: WorkerPool) -> None:
    MessageThread(pool).enter()

    def change() -> str:
        before = variable.get()
        variable.set("there")
        translation.activate("fr")
        return before

    variable.set("here")
    with translation.override("de"):
        assert await hop(translation.get_language) == "de"
        assert await hop(change) == "here"
        assert variable.get() == "there"
        assert translation.get_language() == "fr"
        assert await hop(translation.get_language) == "fr"


async def test_two_messages_on_one_thread_do_not_share_a_context(pool: WorkerPool) -> None:
    async def message(language: str) -> tuple[str | None, str | None]:
        MessageThread(pool).enter()
        before = await hop(translation.get_language)
        await hop(translation.activate, language)
        return before, await hop(translation.get_language)

    loop = asyncio.get_running_loop()
    for language in ("de", "fr", "de", "fr"):
        task = loop.create_task(message(language), context=contextvars.copy_context())
        assert await task == ("en-us", language)


async def test_messages_at_once_have_a_thread_each_however_many(pool: WorkerPool) -> None:
    """They come on top of the pool's own: a message that waits holds up nobody."""
    barrier = threading.Barrier(6)  # more than the pool's size

    async def message() -> set[int]:
        MessageThread(pool).enter()
        await hop(barrier.wait, PATIENCE)
        return {await hop(threading.get_ident) for _ in range(3)}

    threads = await asyncio.gather(*(message() for _ in range(6)))
    assert [len(idents) for idents in threads] == [1] * 6
    assert len(set.union(*threads)) == 6


async def test_what_a_message_leaves_on_its_thread_is_nobody_elses(pool: WorkerPool) -> None:
    local = threading.local()

    async def message(number: int) -> None:
        thread = MessageThread(pool)
        thread.enter()
        await hop(setattr, local, "number", number)
        for _ in range(20):
            assert await hop(lambda: local.number) == number
            assert await sync_to_async(lambda: local.number)() == number
        thread.release()

    await asyncio.gather(*(message(number) for number in range(30)))


async def test_hop_anywhere_holds_no_thread(pool: WorkerPool) -> None:
    thread = MessageThread(pool)
    thread.enter()
    before = await hop_anywhere(threading.get_ident)
    assert before in {worker._thread.ident for worker in pool.workers}
    assert not any(worker.leased for worker in pool.workers)
    own = await hop(threading.get_ident)  # from here on it has one
    assert {await hop_anywhere(threading.get_ident) for _ in range(10)} == {own}
    assert sum(worker.leased for worker in pool.workers) == 1
    thread.release()


async def test_hop_anywhere_is_for_as_many_at_once_as_the_pool_has_threads(
    pool: WorkerPool,
) -> None:
    lock, running, most = threading.Lock(), 0, 0

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.001)
        with lock:
            running -= 1

    async def message() -> None:
        MessageThread(pool).enter()
        await hop_anywhere(work)

    await asyncio.gather(*(message() for _ in range(50)))
    assert most == pool.size == len(pool.workers)


async def test_a_released_thread_serves_the_next_message(pool: WorkerPool) -> None:
    seen = set()
    for _ in range(10):
        thread = MessageThread(pool)
        seen.add(await thread.call(threading.get_ident))
        assert [worker.leased for worker in pool.workers] == [True]
        thread.release()
        thread.release()  # once more does nothing
        await all_sleep(pool)
        assert [worker.leased for worker in pool.workers] == [False]
    assert len(seen) == 1


async def test_a_lost_message_gives_its_thread_back(pool: WorkerPool) -> None:
    thread = MessageThread(pool)
    await thread.call(int)
    del thread
    gc.collect()
    assert [worker.leased for worker in pool.workers] == [False]


async def test_after_release_a_hop_is_asgirefs(pool: WorkerPool) -> None:
    """A task that outlives its message must not use a thread that is another's by now."""
    thread = MessageThread(pool)
    thread.enter()
    own = await hop(threading.get_ident)
    thread.release()
    await all_sleep(pool)
    mine = MessageThread(pool)
    assert await mine.call(threading.get_ident) == own
    for later in (hop, hop_anywhere):
        assert await later(threading.get_ident) != own
    assert await sync_to_async(threading.get_ident)() != own
    mine.release()


def test_a_thread_that_waits_in_async_to_sync_serves_the_hops(pool: WorkerPool) -> None:
    """A job queued for it would wait for ever."""

    async def inside() -> int:
        MessageThread(pool).enter()
        return await hop(threading.get_ident)

    # In a context of its own: async_to_sync would leave the message's in that of the tests.
    thread = contextvars.copy_context().run(async_to_sync(inside))
    assert thread == threading.get_ident()


async def test_a_hop_that_nobody_waits_for_runs_to_its_end(pool: WorkerPool) -> None:
    entered, may_go, left = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        may_go.wait(PATIENCE)
        left.set()

    async def message() -> None:
        MessageThread(pool).enter()
        await hop(work)

    task = asyncio.create_task(message())
    assert await asyncio.to_thread(entered.wait, PATIENCE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not left.is_set()
    may_go.set()
    assert await asyncio.to_thread(left.wait, PATIENCE)
