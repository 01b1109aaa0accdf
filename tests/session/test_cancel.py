"""`cancel` answers at once; what can be stopped is stopped, and what can't keeps its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_django.fixtures import Settings

from tests.project.gates import Gate
from tests.support.client import Message, Peer, connect
from tests.support.server import ServerThread
from wsrequest.lifecycle import turns


async def cancel(peer: Peer, id: int | str) -> Message:
    await peer.send({"cancel": id})
    return await peer.answer(id)


def assert_cancelled(answer: Message) -> None:
    assert answer["status"] == 499
    assert answer["data"]["code"] == "cancelled"


async def test_an_async_view_is_cancelled(server: ServerThread, gate: Gate) -> None:
    async with connect(server.ws) as peer:
        await peer.send({"id": 1, "url": f"/agate/{gate.name}/"})
        await gate.entered.reached(1)
        assert_cancelled(await cancel(peer, 1))
        await gate.cancelled.reached(1)
        assert (await peer.request("/hello/", id=1))["data"] == "hello"


async def test_a_sync_view_runs_on_and_keeps_its_place(
    server: ServerThread, gate: Gate, settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1}
    async with connect(server.ws) as peer:
        await peer.send({"id": 1, "url": f"/gate/{gate.name}/"})
        await gate.entered.reached(1)
        assert_cancelled(await cancel(peer, 1))
        await peer.send({"id": 1, "url": "/hello/"})
        await peer.still_answers()
        assert gate.left.count == 0
        gate.open()
        assert (await peer.next())["data"] == "hello"


async def test_an_async_view_that_will_not_stop_keeps_its_place(
    server: ServerThread, gate: Gate, settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1}
    async with connect(server.ws) as peer:
        await peer.send({"id": 1, "url": f"/stubborn/{gate.name}/"})
        await gate.entered.reached(1)
        assert_cancelled(await cancel(peer, 1))
        await gate.entered.reached(2)  # it waits on, in another thread
        await peer.send({"id": 1, "url": "/hello/"})
        await peer.still_answers()
        gate.open()
        assert (await peer.next())["data"] == "hello"


async def test_a_waiting_request_never_starts(
    server: ServerThread, new_gate: Callable[[], Gate], settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1}
    running, waiting = new_gate(), new_gate()
    async with connect(server.ws) as peer:
        await peer.send({"id": 1, "url": f"/agate/{running.name}/"})
        await peer.send({"id": 2, "url": f"/agate/{waiting.name}/"})
        await peer.send({"id": 3, "url": "/hello/"})
        assert_cancelled(await cancel(peer, 2))
        running.open()
        assert [(await peer.next())["id"] for _ in range(2)] == [1, 3]
        assert waiting.entered.count == 0


async def test_a_sync_stream_ends_and_its_generator_is_closed(
    server: ServerThread, gate: Gate
) -> None:
    async with connect(server.ws) as peer:
        head = await peer.request(f"/gated-stream/{gate.name}/")
        assert head["more"] is True
        assert (await peer.answer(1))["chunk"] == "first"
        await gate.entered.reached(1)
        end = await cancel(peer, 1)
        assert end["end"] is True
        assert_cancelled(end)
        assert gate.cancelled.count == 0
        gate.open()
        await gate.cancelled.reached(1)  # its ``finally``
        await peer.still_answers()


async def test_an_async_stream_ends_and_its_generator_is_closed(
    server: ServerThread, gate: Gate
) -> None:
    async with connect(server.ws) as peer:
        await peer.request(f"/agated-stream/{gate.name}/")
        assert (await peer.answer(1))["chunk"] == "first"
        await gate.entered.reached(1)
        end = await cancel(peer, 1)
        assert end["end"] is True
        assert_cancelled(end)
        await gate.cancelled.reached(1)
        await peer.still_answers()


async def test_what_is_not_in_flight_can_be_cancelled_for_nothing(server: ServerThread) -> None:
    async with connect(server.ws) as peer:
        assert (await peer.request("/hello/", id=1))["status"] == 200
        await peer.send({"cancel": 1})
        await peer.send({"cancel": "never there"})
        await peer.still_answers()


async def test_cancelling_twice_is_cancelling_once(server: ServerThread, gate: Gate) -> None:
    async with connect(server.ws) as peer:
        await peer.send({"id": 1, "url": f"/agate/{gate.name}/"}, {"cancel": 1}, {"cancel": 1})
        assert_cancelled(await peer.next())
        await peer.still_answers()


async def test_a_cancel_in_the_same_frame_as_its_request(server: ServerThread, gate: Gate) -> None:
    """The view may not have begun yet: its task must be cleared up all the same."""
    async with connect(server.ws) as peer:
        for view in ("agate", "achunks", "gate"):
            url = f"/{view}/{gate.name}/" + ("9/9/" if view == "achunks" else "")
            await peer.send({"id": view, "url": url}, {"cancel": view})
            assert_cancelled(await peer.next())
        gate.open()
        await peer.still_answers()
    await server.connections_gone()


async def test_one_that_waits_for_its_turn_on_the_loop_never_starts(
    server: ServerThread, gate: Gate, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "PRESENT", 1000.0)  # however slow this machine is
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 5, "MAX_QUEUED": 1}
    async with connect(server.ws) as other, connect(server.ws) as peer:
        await other.send({"id": 1, "url": f"/agate/{gate.name}/"})
        await gate.entered.reached(1)
        asked = [{"id": number, "url": f"/agate/{gate.name}/"} for number in range(1, 6)]
        await peer.send(*asked, {"cancel": 5}, {"cancel": 4})
        assert_cancelled(await peer.answer(5))
        assert_cancelled(await peer.answer(4))
        await gate.entered.reached(4)
        await peer.still_answers()
        assert gate.entered.count == 4
        # Their places are free again.
        await peer.send({"id": 4, "url": f"/agate/{gate.name}/"})
        await peer.send({"id": 5, "url": f"/agate/{gate.name}/"})
        await gate.entered.reached(6)
        gate.open()
        for number in range(1, 6):
            assert (await peer.answer(number))["status"] == 200
