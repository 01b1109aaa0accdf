"""A request that is not answered in time is answered 504: once, in its turn, and what can be stopped is stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.project.gates import Gate
from tests.support.client import Message, Peer, connect
from tests.support.fixtures import Advance
from tests.support.memory import MemoryConnection, connection, settle
from tests.support.server import ServerThread

#: Milliseconds that are over before any view has come to a gate, and more than any test takes.
AT_ONCE, LATER = 1, 60_000


def assert_timed_out(answer: Message) -> None:
    assert answer["status"] == 504
    assert answer["headers"] == {"content-type": "application/json"}
    assert answer["data"] == {
        "error": "The request took longer than its timeout.",
        "code": "timeout",
    }


async def pulled(peer: MemoryConnection, number: int) -> list[Any]:
    messages: list[Any] = []
    while len(messages) < number:
        frame = await peer.transport.pull()
        messages += frame if isinstance(frame, list) else [frame]
    return messages


async def test_an_async_view_is_cancelled(gate: Gate, advance: Advance) -> None:
    async with connection() as peer:
        peer.transport.push({"id": 1, "url": f"/agate/{gate.name}/", "timeout": 5000})
        await gate.entered.reached(1)
        advance(4)
        await settle()
        assert peer.transport.pulled() == []
        advance(1)
        assert_timed_out((await pulled(peer, 1))[0])
        await settle()
        assert gate.cancelled.count == 1
        peer.transport.push({"id": 1, "url": "/hello/"})
        assert (await pulled(peer, 1))[0]["data"] == "hello"


async def test_a_sync_view_runs_on_and_keeps_its_place(
    gate: Gate, advance: Advance, settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1}
    async with connection() as peer:
        peer.transport.push({"id": 1, "url": f"/gate/{gate.name}/", "timeout": 5000})
        await gate.entered.reached(1)
        advance(5)
        assert_timed_out((await pulled(peer, 1))[0])
        peer.transport.push({"id": 1, "url": "/hello/"})
        await settle()
        assert peer.session._backlog.waiting
        assert gate.left.count == 0
        gate.open()
        assert (await pulled(peer, 1))[0]["data"] == "hello"


async def test_the_setting_holds_for_every_request(
    server: ServerThread, gate: Gate, settings: Settings
) -> None:
    settings.WSREQUEST = {"REQUEST_TIMEOUT": 0.05}
    async with connect(server.ws) as peer:
        assert_timed_out(await peer.request(f"/agate/{gate.name}/", id=1))
        assert_timed_out(await peer.plain(f"/agate/{gate.name}/"))
        await peer.still_answers()


@pytest.mark.parametrize(("message", "setting"), [(LATER, 0.05), (50, 60.0), (50, None)])
async def test_the_shorter_of_the_two_holds(
    server: ServerThread, gate: Gate, settings: Settings, message: int, setting: float | None
) -> None:
    settings.WSREQUEST = {"REQUEST_TIMEOUT": setting}
    async with connect(server.ws) as peer:
        assert_timed_out(await peer.request(f"/agate/{gate.name}/", timeout=message))


async def test_an_answer_in_time_is_the_answer(server: ServerThread, settings: Settings) -> None:
    settings.WSREQUEST = {"REQUEST_TIMEOUT": 60.0}
    async with connect(server.ws) as peer:
        for message in ({}, {"timeout": LATER}, {"timeout": 2**53 - 1}, {"timeout": None}):
            assert (await peer.request("/hello/", **message))["data"] == "hello"
        await peer.still_answers()


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "100", True, 2**53, [1]])
async def test_what_is_no_number_of_milliseconds_is_refused(
    server: ServerThread, wrong: Any
) -> None:
    async with connect(server.ws) as peer:
        answer = await peer.request("/hello/", id=1, timeout=wrong)
        assert answer["status"] == 400
        assert answer["data"]["field"] == "timeout"


async def test_a_waiting_request_never_starts(
    new_gate: Callable[[], Gate], settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 2}
    running, waiting = new_gate(), new_gate()
    async with connection() as peer:
        peer.transport.push({"id": 1, "url": f"/agate/{running.name}/"})
        peer.transport.push({"id": 2, "url": f"/agate/{waiting.name}/", "timeout": AT_ONCE})
        (answer,) = await pulled(peer, 1)
        assert answer["id"] == 2
        assert_timed_out(answer)
        peer.transport.push({"id": 2, "url": "/hello/"}, {"id": 3, "url": "/hello/"})
        running.open()
        assert [answer["id"] for answer in await pulled(peer, 3)] == [1, 2, 3]
    assert waiting.entered.count == 0


async def test_a_request_that_waits_for_room_in_the_outbox_times_out(
    gate: Gate, settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_OUTBOX_BYTES": 100}
    async with connection() as peer:
        peer.transport.stall()
        peer.session.outbox.put(b'{"pong":%s}' % (b"1" * 200))
        peer.transport.push({"id": 1, "url": f"/gate/{gate.name}/", "timeout": AT_ONCE})
        while 1 in peer.session.connection.open or not peer.transport.reads > 1:
            await settle()
        peer.transport.flow()
        assert_timed_out((await pulled(peer, 2))[1])
    assert gate.entered.count == 0


@pytest.mark.parametrize("seed", [True, False])
async def test_without_ids_an_answer_waits_for_those_before_it(
    new_gate: Callable[[], Gate], seed: bool
) -> None:
    """Nothing else tells which request it belongs to."""
    first, never = new_gate(), new_gate()
    async with connection(subprotocols=() if seed else ("wsrequest.v1.json",)) as peer:
        peer.transport.push({"url": f"/agate/{first.name}/"})
        peer.transport.push({"url": f"/agate/{never.name}/", "timeout": AT_ONCE})
        peer.transport.push({"url": "//elsewhere/"})
        peer.transport.push({"url": "/echo/last"})
        while len(peer.session._backlog.waiting) != 1:
            await settle()
        peer.transport.push({"ping": 1})
        assert await pulled(peer, 1) == [{"pong": 1}]
        first.open()
        one, two, three, four = await pulled(peer, 4)
        assert one["data"] == f"through {first.name}"
        assert_timed_out(two)
        assert three["data"]["code"] == "invalid_field"
        assert four["data"]["rest"] == "last"
    assert never.entered.count == 0


@pytest.mark.parametrize("view", ["gate", "agate"])
async def test_the_queue_goes_on_when_the_view_at_its_head_has_ended(
    gate: Gate, advance: Advance, view: str
) -> None:
    """Requests without an id run one after the other: a synchronous view that was given up still runs."""
    async with connection() as peer:
        peer.transport.push({"url": f"/{view}/{gate.name}/", "timeout": 5000})
        peer.transport.push({"url": "/hello/"})
        await gate.entered.reached(1)
        advance(5)
        assert_timed_out((await pulled(peer, 1))[0])
        if view == "gate":
            await settle()
            assert peer.session._backlog.waiting
            gate.open()
        assert (await pulled(peer, 1))[0]["data"] == "hello"


async def test_behind_a_view_that_does_not_end_the_queue_is_answered_all_the_same(
    gate: Gate, advance: Advance, settings: Settings
) -> None:
    settings.WSREQUEST = {"REQUEST_TIMEOUT": 5}
    async with connection() as peer:
        for _ in range(3):
            peer.transport.push({"url": f"/gate/{gate.name}/"})
        await gate.entered.reached(1)
        advance(5)
        for answer in await pulled(peer, 3):
            assert_timed_out(answer)
        assert gate.entered.count == 1
        gate.open()


@pytest.mark.parametrize("view", ["gated-stream", "agated-stream"])
async def test_a_stream_that_has_begun_has_all_the_time(gate: Gate, view: str) -> None:
    async with connection() as peer:
        peer.transport.push({"id": 1, "url": f"/{view}/{gate.name}/", "timeout": LATER})
        head, chunk = await pulled(peer, 2)
        assert (head["more"], chunk["chunk"]) == (True, "first")
        (exchange,) = peer.session._backlog.running
        assert exchange._timer is None
        gate.open()
        assert (await pulled(peer, 2))[1] == {"id": 1, "end": True}


async def test_a_stream_that_is_late_is_no_stream(
    gate: Gate, advance: Advance, settings: Settings
) -> None:
    """The view returns it when nobody wants it any more: its generator is closed without having begun."""
    settings.ROOT_URLCONF = "tests.once.urls"
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1, "MAX_OUTBOX_BYTES": 10}
    async with connection(workers=1) as peer:
        peer.transport.push({"id": 1, "url": f"/gate-stream/{gate.name}/", "timeout": 5000})
        await gate.entered.reached(1)
        advance(5)
        (answer,) = await pulled(peer, 1)
        assert_timed_out(answer)
        gate.open()
        peer.transport.push({"id": 2, "url": "/run/x/"})
        assert (await pulled(peer, 1))[0]["id"] == 2


async def test_answers_race_with_their_timeouts(server: ServerThread) -> None:
    """As many answers as requests, each 200 or 504, and every id is free again."""

    async def raced(peer: Peer, ids: range) -> list[int]:
        urls = ["/hello/", "/ahello/", "/stream/"]
        await peer.send(
            *({"id": key, "url": urls[key % 3], "timeout": 1 + key % 5} for key in ids),
        )
        ended: list[int] = []
        while len(ended) < len(ids):
            message = await peer.next()
            assert message.get("status", 200) in (200, 504)
            if "more" not in message and "chunk" not in message:
                ended.append(message["id"])
        return ended

    async with connect(server.ws) as peer:
        for _ in range(5):
            assert sorted(await raced(peer, range(1, 121))) == list(range(1, 121))
        await peer.still_answers()
