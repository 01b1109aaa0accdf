"""Requests with ids run at once and within bounds; those without keep their order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from pytest_django.fixtures import Settings

from tests.project.gates import Gate
from tests.support.client import connect
from tests.support.memory import connection, settle
from tests.support.server import ServerThread


@pytest.mark.parametrize("view", ["gate", "agate"])
async def test_requests_with_ids_run_at_once(server: ServerThread, gate: Gate, view: str) -> None:
    async with connect(server.ws) as peer:
        for key in (1, 2, 3):
            await peer.send({"id": key, "url": f"/{view}/{gate.name}/"})
        await gate.entered.reached(3)
        gate.open()
        assert {(await peer.next())["id"] for _ in range(3)} == {1, 2, 3}


async def test_an_answer_does_not_wait_for_those_before_it(
    server: ServerThread, gate: Gate
) -> None:
    async with connect(server.ws) as peer:
        await peer.send({"id": "slow", "url": f"/gate/{gate.name}/"})
        await peer.send({"id": "fast", "url": "/hello/"})
        assert (await peer.next())["id"] == "fast"
        gate.open()
        assert (await peer.next())["data"] == f"through {gate.name}"


@pytest.mark.parametrize("view", ["gate", "agate"])
async def test_no_more_run_than_max_in_flight(
    server: ServerThread, gate: Gate, settings: Settings, view: str
) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 2}
    async with connect(server.ws) as peer:
        assert peer.hello is not None
        assert peer.hello["data"]["limits"]["in_flight"] == 2
        for key in range(1, 6):
            await peer.send({"id": key, "url": f"/{view}/{gate.name}/"})
        await gate.entered.reached(2)
        await peer.still_answers()
        assert gate.entered.count == 2
        gate.open()
        assert {(await peer.next())["status"] for _ in range(5)} == {200}


@pytest.mark.parametrize("seed", [True, False])
async def test_requests_without_ids_keep_their_order(
    server: ServerThread, gate: Gate, seed: bool
) -> None:
    async with connect(server.ws, seed=seed) as peer:
        await peer.send({"url": f"/agate/{gate.name}/"})
        for number in range(5):
            await peer.send({"url": f"/echo/{number}"})
        await gate.entered.reached(1)
        await peer.still_answers()
        gate.open()
        answers = [await peer.next() for _ in range(6)]
        assert [answer["data"]["rest"] for answer in answers[1:]] == ["0", "1", "2", "3", "4"]
        assert not any("id" in answer for answer in answers)


async def test_requests_with_ids_overtake_those_without(server: ServerThread, gate: Gate) -> None:
    async with connect(server.ws) as peer:
        await peer.send({"url": f"/gate/{gate.name}/"})
        await peer.send({"url": "/hello/"})
        assert (await peer.request("/hello/", id=1))["status"] == 200
        gate.open()
        assert (await peer.next())["data"] == f"through {gate.name}"
        assert (await peer.next())["data"] == "hello"


async def test_an_id_in_flight_is_refused_and_its_exchange_goes_on(
    server: ServerThread, gate: Gate
) -> None:
    async with connect(server.ws) as peer:
        await peer.send({"id": 7, "url": f"/agate/{gate.name}/"})
        await peer.send({"id": 7, "url": "/hello/"})
        refused = await peer.next()
        assert refused["id"] is None
        assert refused["status"] == 409
        assert refused["data"]["code"] == "duplicate_id"
        assert refused["data"]["id"] == 7
        gate.open()
        assert await peer.next() | {"headers": None} == {
            "id": 7,
            "status": 200,
            "headers": None,
            "data": f"through {gate.name}",
        }


async def test_an_id_is_free_once_it_is_answered(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        for _ in range(3):
            assert (await peer.request("/hello/", id="again"))["status"] == 200
        for _ in range(2):  # an answer that no view gave frees it, too
            assert (await peer.request("", id="again"))["data"]["code"] == "missing_url"
        assert (await peer.request("/hello/", id="again"))["status"] == 200


async def test_a_number_and_its_text_are_two_ids(server: ServerThread, gate: Gate) -> None:
    async with connect(server.ws) as peer:
        await peer.send({"id": 1, "url": f"/agate/{gate.name}/"})
        await peer.send({"id": "1", "url": "/hello/"})
        assert (await peer.next())["id"] == "1"
        gate.open()
        assert (await peer.next())["id"] == 1


async def test_the_socket_is_not_read_past_the_queue(gate: Gate, settings: Settings) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 2}
    async with connection() as peer:
        for key in range(1, 7):
            peer.transport.push({"id": key, "url": f"/agate/{gate.name}/"})
        await gate.entered.reached(1)
        await settle()
        assert peer.transport.unread == 3
        gate.open()
        answered = []
        while len(answered) < 6:
            frame = await peer.transport.pull()
            answered += [
                message["id"] for message in (frame if isinstance(frame, list) else [frame])
            ]
        assert answered == [1, 2, 3, 4, 5, 6]
        assert peer.transport.unread == 0


async def test_what_was_read_with_the_last_request_is_served(
    gate: Gate, settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 1}
    async with connection() as peer:
        url = f"/agate/{gate.name}/"
        peer.transport.push(
            {"id": 1, "url": url}, {"id": 2, "url": url}, {"cancel": 2}, {"ping": 1}
        )
        frame = await peer.transport.pull()
        assert frame[0]["id"] == 2
        assert frame[0]["status"] == 499
        assert frame[1] == {"pong": 1}


@pytest.mark.parametrize("workers", [1, 3])
async def test_sync_views_share_the_pool(
    new_gate: Callable[[], Gate], settings: Settings, workers: int
) -> None:
    """Of two connections and five views, as many run as there are workers."""
    gate = new_gate()
    async with connection(workers=workers) as peer, connection(pool=peer.pool) as other:
        for key in range(1, 6):
            peer.transport.push({"id": key, "url": f"/gate/{gate.name}/"})
            other.transport.push({"id": key, "url": f"/gate/{gate.name}/"})
        await gate.entered.reached(workers)
        await settle()
        assert gate.entered.count == workers
        gate.open()
        await gate.left.reached(10)


async def test_async_views_need_no_worker(gate: Gate) -> None:
    async with connection(workers=1) as peer:
        for key in range(1, 21):
            peer.transport.push({"id": key, "url": f"/agate/{gate.name}/"})
        await gate.entered.reached(20)
        gate.open()
        await asyncio.gather(*(gate.left.reached(count) for count in (1, 20)))
