"""A peer that sends too much is refused, and one that does not stop is closed. What ends something is always served."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.project.gates import Gate
from tests.support.client import Peer, connect
from tests.support.memory import connection, settle
from tests.support.server import ServerThread

#: Hardly one more in the time that a test takes.
SLOW = {"MESSAGES_PER_SECOND": 0.001, "MESSAGE_BURST": 3}


def assert_refused(answer: dict[str, Any]) -> None:
    assert answer["status"] == 429
    assert answer["data"]["code"] == "rate_limited"
    assert 900 < int(answer["headers"]["retry-after"]) <= 1000


@pytest.fixture(autouse=True)
def slow(settings: Settings) -> None:
    settings.WSREQUEST = SLOW


@pytest.mark.parametrize("seed", [True, False])
async def test_the_burst_is_served_and_one_more_refused(server: ServerThread, seed: bool) -> None:
    async with connect(server.ws, seed=seed) as peer:
        for _ in range(3):
            assert (await peer.request("/hello/"))["data"] == "hello"
        assert_refused(await peer.request("/hello/", id="more"))
        assert_refused(await peer.plain("/hello/"))


async def test_the_messages_of_an_array_are_counted(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        await peer.send(*({"id": number, "url": "/hello/"} for number in range(1, 6)))
        answers = {message["id"]: message for message in [await peer.next() for _ in range(5)]}
        assert [answers[number]["status"] for number in (1, 2, 3)] == [200] * 3
        assert_refused(answers[4])
        assert_refused(answers[5])


async def test_cancel_and_ping_are_served_past_it(server: ServerThread, gate: Gate) -> None:
    async with connect(server.ws) as peer:
        await peer.send(*({"id": number, "url": f"/agate/{gate.name}/"} for number in (1, 2, 3)))
        await gate.entered.reached(3)
        await peer.send({"ping": 1})
        assert await peer.next() == {"pong": 1}
        await peer.send({"cancel": 2}, {"pong": 5}, {"ping": 2})
        assert (await peer.next())["status"] == 499
        assert await peer.next() == {"pong": 2}
        assert_refused(await peer.request("/hello/", id=2))


async def test_without_an_id_it_is_refused_in_its_turn(gate: Gate) -> None:
    async with connection() as peer:
        peer.transport.push({"url": f"/agate/{gate.name}/"})
        peer.transport.push({"url": "/echo/2"}, {"url": "/echo/3"}, {"url": "/echo/4"}, {"ping": 1})
        assert await peer.transport.pull() == {"pong": 1}
        gate.open()
        answers: list[Any] = []
        while len(answers) < 4:
            frame = await peer.transport.pull()
            answers += frame if isinstance(frame, list) else [frame]
        assert [answer["status"] for answer in answers] == [200, 200, 200, 429]


async def test_a_neighbour_has_a_limit_of_its_own(server: ServerThread) -> None:
    async with connect(server.ws) as peer, connect(server.ws) as neighbour:
        await peer.send(*({"id": number, "url": "/hello/"} for number in range(1, 6)))
        statuses = sorted([(await peer.next())["status"] for _ in range(5)])
        assert statuses == [200] * 3 + [429] * 2
        assert (await neighbour.request("/hello/"))["status"] == 200


@pytest.mark.parametrize("seed", [True, False])
async def test_ten_times_the_burst_is_served_or_refused_and_one_more_closes(
    server: ServerThread, seed: bool
) -> None:
    async with connect(server.ws, seed=seed) as peer:
        await peer.send(*({"url": ""} for _ in range(30)))
        answers = [await peer.next() for _ in range(30)]
        assert [answer["status"] for answer in answers] == [400] * 3 + [429] * 27
        await peer.send({"pong": 1})
        assert await peer.close_code() == 4029


async def test_a_flood_in_one_frame_is_closed_before_its_end(server: ServerThread) -> None:
    async def flood(peer: Peer, frame: str) -> int:
        await peer.send_text(frame)
        assert await peer.close_code() == 4029
        frames = [json.loads(text) for text in peer.frames[1:]]
        return sum(len(frame) if isinstance(frame, list) else 1 for frame in frames)

    for frame in (f"[{'0,' * 500_000}0]", f"[{','.join(['{}'] * 300_000)}]"):
        async with connect(server.ws) as peer:
            assert await flood(peer, frame) <= 30


async def test_what_is_held_of_a_flood_is_little(settings: Settings) -> None:
    """Half a million messages wait in a frame of a mebibyte, and their peer does not read."""
    settings.WSREQUEST = SLOW | {"MAX_OUTBOX_BYTES": 100}
    async with connection() as peer:
        peer.transport.stall()
        peer.transport._incoming.put_nowait(f"[{'0,' * 500_000}0]")
        while not peer.session.outbox.full:
            await settle()
        assert peer.session.watch.listening is False
        assert peer.session.outbox.size < 1000
        peer.transport.flow()
        await peer.task
    assert peer.transport.closed_with == 4029


async def test_without_a_rate_nobody_is_refused(server: ServerThread, settings: Settings) -> None:
    settings.WSREQUEST = SLOW | {"MESSAGES_PER_SECOND": None}
    async with connect(server.ws) as peer:
        await peer.send(*({"id": number, "url": "/hello/"} for number in range(1, 101)))
        assert {(await peer.next())["status"] for _ in range(100)} == {200}
