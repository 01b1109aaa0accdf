"""A repeat that comes while the first request still runs waits for its answer."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.once.caches import WatchedCache
from tests.once.support import BOTH, HEADERS, ask, is_replay, opened, post, without_mark
from tests.once.urls import runs
from tests.project.gates import Gate
from tests.support.memory import MemoryConnection, connection
from tests.support.server import ServerThread
from wsrequest.lifecycle import once


@pytest.mark.parametrize("prefix", BOTH)
async def test_on_one_connection(server: ServerThread, gate: Gate, prefix: str) -> None:
    url = f"{prefix}gate/{gate.name}/"
    async with opened(server) as peer:
        await peer.send(post(url))
        await gate.entered.reached(1)
        await peer.send(*(post(url, id=number) for number in (2, 3)))
        await WatchedCache.looks.reached(2)
        gate.open()
        first, *others = [await peer.answer(number) for number in (1, 2, 3)]
        assert [without_mark(answer) | {"id": 1} for answer in others] == [first, first]
        assert [is_replay(answer) for answer in (first, *others)] == [False, True, True]
    assert runs[gate.name] == 1


@pytest.mark.parametrize("prefix", BOTH)
async def test_on_two_connections(server: ServerThread, gate: Gate, prefix: str) -> None:
    url = f"{prefix}gate/{gate.name}/"
    async with opened(server) as peer, opened(server) as other:
        await peer.send(post(url))
        await gate.entered.reached(1)
        await other.send(post(url))
        await WatchedCache.looks.reached(1)
        gate.open()
        assert (await peer.answer(1))["data"] == {"run": 1}
        assert is_replay(await other.answer(1))


@pytest.mark.parametrize("prefix", BOTH)
async def test_many_at_the_same_moment(server: ServerThread, prefix: str) -> None:
    async with opened(server) as peer:
        await peer.send(*(post(f"{prefix}run/x/", id=number) for number in range(1, 31)))
        answers = [await peer.answer(number) for number in range(1, 31)]
        assert [answer["data"] for answer in answers] == [{"run": 1}] * 30
        assert sum(map(is_replay, answers)) == 29


@pytest.mark.parametrize("prefix", BOTH)
async def test_another_request_with_the_key_need_not_wait(
    server: ServerThread, gate: Gate, prefix: str
) -> None:
    async with opened(server) as peer:
        await peer.send(post(f"{prefix}gate/{gate.name}/"))
        await gate.entered.reached(1)
        answer = await ask(peer, f"{prefix}gate/{gate.name}/", id=2, data={})
        assert answer["status"] == 422
        gate.open()
        assert (await peer.answer(1))["status"] == 201


@pytest.mark.parametrize("prefix", BOTH)
async def test_where_the_first_one_has_no_answer_to_keep_the_next_one_runs(
    server: ServerThread, gate: Gate, prefix: str
) -> None:
    async with opened(server) as peer:
        await peer.send(post(f"/agate/{gate.name}/"))
        await gate.entered.reached(1)
        await peer.send(post(f"/agate/{gate.name}/", id=2), post(f"/agate/{gate.name}/", id=3))
        await WatchedCache.looks.reached(2)
        await peer.send({"cancel": 1})
        await gate.entered.reached(2)
        gate.open()
        answers = [await peer.answer(number) for number in (1, 2, 3)]
        assert answers[0]["status"] == 499
        assert [answer["data"] for answer in answers[1:]] == [{"run": 2}] * 2


@pytest.mark.parametrize("prefix", BOTH)
async def test_who_waits_can_be_cancelled(server: ServerThread, gate: Gate, prefix: str) -> None:
    url = f"{prefix}gate/{gate.name}/"
    async with opened(server) as peer:
        await peer.send(post(url))
        await gate.entered.reached(1)
        await peer.send(post(url, id=2))
        await WatchedCache.looks.reached(1)
        await peer.send({"cancel": 2})
        assert (await peer.answer(2))["status"] == 499
        gate.open()
        assert (await peer.answer(1))["data"] == {"run": 1}
        assert is_replay(await ask(peer, url, id=3))


@pytest.mark.parametrize("prefix", BOTH)
async def test_the_timeout_of_a_repeat_is_its_own(
    server: ServerThread, gate: Gate, prefix: str
) -> None:
    url = f"{prefix}gate/{gate.name}/"
    async with opened(server) as peer:
        await peer.send(post(url))
        await gate.entered.reached(1)
        assert (await ask(peer, url, id=2, timeout=50))["status"] == 504
        gate.open()
        assert (await peer.answer(1))["data"] == {"run": 1}


@pytest.mark.parametrize("prefix", BOTH)
async def test_it_waits_for_so_long_only(
    server: ServerThread, gate: Gate, prefix: str, settings: Settings
) -> None:
    settings.WSREQUEST = {"IDEMPOTENCY_WAIT": 0.1}
    url = f"{prefix}gate/{gate.name}/"
    async with opened(server) as peer:
        await peer.send(post(url))
        await gate.entered.reached(1)
        assert await ask(peer, url, id=2) == {
            "id": 2,
            "status": 409,
            "headers": {"content-type": "application/json", "retry-after": "5"},
            "data": {
                "error": "The first request with this key has no answer yet; repeat later, with the same key.",
                "code": "key_busy",
            },
        }
        gate.open()
        assert (await peer.answer(1))["data"] == {"run": 1}
        assert is_replay(await ask(peer, url, id=2))


async def test_so_many_threads_wait_only(
    server: ServerThread, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "_places", threading.BoundedSemaphore(1))
    url = f"/gate/{gate.name}/"
    async with opened(server) as peer:
        await peer.send(post(url))
        await gate.entered.reached(1)
        await peer.send(post(url, id=2), post(url, id=3))
        refused = await peer.next()
        assert refused["data"]["code"] == "key_busy"
        gate.open()
        assert is_replay(await peer.answer({2: 3, 3: 2}[refused["id"]]))


async def _all_threads_end(peer: MemoryConnection) -> None:
    await asyncio.to_thread(peer.pool.close, 20)
    for worker in tuple(peer.pool.workers):  # a leased one ends when it is released
        await asyncio.to_thread(worker.join, 20)
    assert not peer.pool.workers


async def test_who_waits_takes_nobodys_place(database: None, gate: Gate) -> None:
    url = f"/gate/{gate.name}/"
    async with connection(workers=2, headers=HEADERS) as peer:
        push, pull = peer.transport.push, peer.transport.pull
        push(post(url))
        await gate.entered.reached(1)
        push(*(post(url, id=number) for number in (2, 3, 4)))
        await WatchedCache.looks.reached(3)
        for number in range(5, 9):
            push(post("/run/x/", id=number, key=None))
            assert (await pull())["id"] == number
        gate.open()
        answers: dict[int, Any] = {}
        while len(answers) < 4:
            frame = await pull()
            answers |= {m["id"]: m for m in (frame if isinstance(frame, list) else [frame])}
        assert [answers[number]["data"] for number in range(1, 5)] == [{"run": 1}] * 4
        await _all_threads_end(peer)


async def test_a_stream_after_a_wait(database: None, gate: Gate) -> None:
    """The thread that waited is leased already, and goes on with the stream."""
    async with connection(workers=2, headers=HEADERS) as peer:
        push, pull = peer.transport.push, peer.transport.pull
        push(post(f"/gate-stream/{gate.name}/"))
        await gate.entered.reached(1)
        push(post(f"/gate-stream/{gate.name}/", id=2))
        await WatchedCache.looks.reached(1)
        gate.open()
        found: list[Any] = []
        while sum("end" in message for message in found) < 2:
            frame = await pull()
            found += frame if isinstance(frame, list) else [frame]
        assert {m["chunk"] for m in found if "chunk" in m} == {"run 1", "run 2"}
        await _all_threads_end(peer)
