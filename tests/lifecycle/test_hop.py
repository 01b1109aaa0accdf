"""A message's thread: found with its first job, and the same from then on."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.utils import translation

from tests.lifecycle.support import PATIENCE
from wsrequest.lifecycle.hop import MessageThread, hop
from wsrequest.lifecycle.threads import WorkerPool

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(2)
    yield pool
    pool.close(PATIENCE)


class Busy:
    """Keeps every thread of the pool until it is told otherwise."""

    def __init__(self, pool: WorkerPool) -> None:
        self.may_go = threading.Event()
        for _ in range(pool.size):
            pool.submit(lambda worker: self.may_go.wait(PATIENCE) and None)


async def test_all_hops_are_on_one_thread_of_the_pool(pool: WorkerPool) -> None:
    MessageThread(pool).enter()
    threads = {await hop(threading.get_ident) for _ in range(5)}
    threads.add(await sync_to_async(threading.get_ident)())
    assert len(threads) == 1
    assert threads <= {worker._thread.ident for worker in pool.workers}


async def test_jobs_that_came_before_there_was_a_thread_follow_in_order(pool: WorkerPool) -> None:
    busy = Busy(pool)
    thread = MessageThread(pool)
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
    busy = Busy(pool)
    thread = MessageThread(pool)
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


async def test_release_takes_the_pin_back(pool: WorkerPool) -> None:
    thread = MessageThread(pool)
    await thread.call(int)
    assert sum(worker.pins for worker in pool.workers) == 1
    thread.release()
    assert sum(worker.pins for worker in pool.workers) == 0
    assert await thread.call(lambda: "still works") == "still works"


async def test_a_message_that_ended_before_its_first_job_leaves_no_pin(pool: WorkerPool) -> None:
    busy = Busy(pool)
    thread = MessageThread(pool)
    future = thread.submit(int)
    thread.release()
    busy.may_go.set()
    await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE)
    assert sum(worker.pins for worker in pool.workers) == 0


def test_a_thread_that_waits_in_async_to_sync_serves_the_hops(pool: WorkerPool) -> None:
    """A job queued for it would wait for ever."""

    async def inside() -> int:
        MessageThread(pool).enter()
        return await hop(threading.get_ident)

    assert async_to_sync(inside)() == threading.get_ident()


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
