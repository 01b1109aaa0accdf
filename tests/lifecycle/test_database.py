"""Database connections: as many as there are worker threads, and one for each async view; and used again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, connections
from django.db.backends.signals import connection_created

from tests.lifecycle import support
from tests.lifecycle.fixtures import MakeRunner
from wsrequest.lifecycle import threads
from wsrequest.lifecycle.runner import PoolRunner
from wsrequest.lifecycle.threads import Worker

pytestmark = [pytest.mark.usefixtures("urls"), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def opened() -> Iterator[list[int]]:
    """The thread of each connection that was opened."""
    threads: list[int] = []
    with support.listening(
        connection_created, lambda **kwargs: threads.append(threading.get_ident())
    ):
        yield threads


@pytest.fixture
def persistent() -> Iterator[None]:
    """CONN_MAX_AGE, for every thread's connection."""
    before = connections.settings["default"]["CONN_MAX_AGE"]
    connections.settings["default"]["CONN_MAX_AGE"] = 60
    yield
    connections.settings["default"]["CONN_MAX_AGE"] = before


async def is_open(runner: PoolRunner) -> set[bool]:
    """Whether the connection of each of the pool's threads is open."""
    answers: list[bool] = []
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def job(worker: Worker) -> None:
        answers.append(connection.connection is not None)
        loop.call_soon_threadsafe(done.set)

    for worker in runner.pool.workers:
        done.clear()
        worker.run_here(job)
        await asyncio.wait_for(done.wait(), support.PATIENCE)
    return set(answers)


async def test_connections_are_used_again(
    make_runner: MakeRunner, persistent: None, opened: list[int]
) -> None:
    """Synchronous views never take more than there are threads for them, however many wait."""
    runner = make_runner(3)
    recorders = [support.start(runner, "/users/") for _ in range(60)]
    assert {(await recorder.wait()).text for recorder in recorders} == {"[]"}
    assert 1 <= len(opened) <= 3
    assert len(set(opened)) == len(opened)
    assert await is_open(runner) <= {True, False}
    assert set(opened) <= {worker._thread.ident for worker in runner.pool.workers}


async def test_each_async_view_in_flight_has_a_connection_which_the_next_one_uses(
    make_runner: MakeRunner, persistent: None, opened: list[int]
) -> None:
    runner = make_runner(3)
    for _ in range(10):
        assert (await support.run(runner, "/ausers/")).text == "[]"
        await all_sleep(runner)
    # One at a time: its own thread, and the one for the hooks before it had its own.
    assert 1 <= len(set(opened)) == len(opened) <= 2
    for _ in range(5):
        recorders = [support.start(runner, "/ausers/") for _ in range(12)]
        assert {(await recorder.wait()).text for recorder in recorders} == {"[]"}
    assert len(set(opened)) == len(opened) <= 12 + 3
    assert not any(worker.leased for worker in runner.pool.workers)


async def test_those_of_surplus_threads_are_closed(
    make_runner: MakeRunner,
    persistent: None,
    opened: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "SPARE_TIME", 0.05)
    runner = make_runner(1)
    closed: list[int] = []
    close_all = connections.close_all

    def on_exit() -> None:
        assert connection.connection is not None or threading.get_ident() not in opened
        close_all()
        closed.append(threading.get_ident())

    runner.pool._on_exit = on_exit
    recorders = [support.start(runner, "/ausers/") for _ in range(10)]
    for recorder in recorders:
        await recorder.wait()

    def all_gone() -> bool:
        left = {worker._thread.ident for worker in runner.pool.workers}
        return len(left) == 1 and set(opened) <= {*closed, *left}

    async with asyncio.timeout(support.PATIENCE):
        while not all_gone():  # noqa: ASYNC110 (threads)
            await asyncio.sleep(0.01)
    assert len(closed) > 1
    assert len(set(closed)) == len(closed)


async def all_sleep(runner: PoolRunner) -> None:
    """A thread is free right after its job's result has come."""
    async with asyncio.timeout(support.PATIENCE):
        while not all(worker.asleep for worker in runner.pool.workers):  # noqa: ASYNC110 (threads)
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("url", ["/users/", "/ausers/"])
async def test_without_conn_max_age_they_are_closed_after_each_request(
    make_runner: MakeRunner, opened: list[int], url: str
) -> None:
    runner = make_runner(1)
    for _ in range(3):
        await support.run(runner, url)
    assert len(opened) == 3
    assert await is_open(runner) == {False}


async def test_connections_are_closed_when_the_pool_is(
    make_runner: MakeRunner, persistent: None, opened: list[int]
) -> None:
    runner = make_runner(1)
    closed: list[Any] = []

    def note_closing(worker: Worker) -> None:
        real = connection.connection
        close = connection.close
        connection.close = lambda: (closed.append(real), close())  # type: ignore[method-assign]

    await support.run(runner, "/users/")
    (worker,) = runner.pool.workers
    worker.run_here(note_closing)
    await asyncio.to_thread(runner.pool.close, support.PATIENCE)
    assert len(closed) == len(opened) == 1
