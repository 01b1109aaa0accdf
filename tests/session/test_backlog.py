"""Which requests run, which wait, and in which order answers without an id are said."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.project.gates import Gate
from tests.support.client import PATIENCE
from tests.support.memory import MemoryConnection, connection, settle
from wsrequest.protocol.messages import Request
from wsrequest.session.backlog import Backlog
from wsrequest.session.exchange import Exchange
from wsrequest.session.outbox import Outbox


class Bench:
    """A backlog whose exchanges are started and answered by hand."""

    def __init__(self, max_in_flight: int = 2, max_queued: int = 2, limit: int = 1000) -> None:
        self.outbox = Outbox(limit)
        self.outbox.attend(self)
        self.backlog = Backlog(max_in_flight, max_queued, self.outbox, self)
        self.started: list[Any] = []

    def call(self, outbox: Outbox) -> None:
        """What is said is taken by hand, too."""

    def start(self, exchange: Exchange) -> None:
        self.started.append(exchange)

    def add(self, id: int | str | None = None) -> Any:
        exchange = Stub(Request(id=id))
        self.backlog.add(exchange)  # type: ignore[arg-type]
        return exchange

    def answer(self, exchange: Any, message: bytes) -> None:
        self.backlog.answered(exchange, message)

    def end(self, exchange: Any) -> None:
        self.backlog.finished(exchange)

    @property
    def said(self) -> list[bytes]:
        said: list[bytes] = []
        while (messages := self.outbox.take()) is not None:
            said += messages if isinstance(messages, list) else [messages]
        return said


class Stub:
    def __init__(self, message: Request) -> None:
        self.message = message


async def test_with_ids_as_many_run_as_may() -> None:
    bench = Bench()
    first, second, third = (bench.add(number) for number in (1, 2, 3))
    assert bench.started == [first, second]
    assert bench.backlog.waiting == [third]
    bench.answer(first, b"1")
    assert bench.started == [first, second]  # it is answered, and still at work
    bench.end(first)
    assert bench.started == [first, second, third]


async def test_without_ids_one_runs_after_the_other() -> None:
    bench = Bench()
    first, second = bench.add(), bench.add()
    assert bench.started == [first]
    bench.answer(first, b"1")
    assert bench.started == [first]
    bench.end(first)
    assert bench.started == [first, second]


async def test_both_kinds_share_the_places() -> None:
    bench = Bench()
    first, second, third, fourth = (bench.add(key) for key in (None, 1, None, 2))
    assert bench.started == [first, second]
    bench.answer(second, b"2")
    bench.end(second)
    assert bench.started == [first, second, fourth]
    bench.answer(first, b"1")
    bench.end(first)
    assert bench.started == [first, second, fourth, third]


async def test_nothing_starts_while_the_outbox_is_full() -> None:
    bench = Bench(limit=10)
    bench.outbox.put(b"x" * 10)
    first = bench.add(1)
    assert bench.started == []
    assert not bench.backlog.empty
    bench.outbox.take()
    bench.outbox.sent()
    bench.backlog.begin()
    assert bench.started == [first]


async def test_answers_with_an_id_go_at_once() -> None:
    bench = Bench(max_in_flight=1)
    bench.add()
    second = bench.add(1)
    bench.answer(second, b"timed out")
    bench.backlog.withdraw(second)
    assert bench.said == [b"timed out"]
    assert bench.backlog.get(1) is None
    assert bench.backlog.waiting == []


async def test_answers_without_one_go_in_their_order() -> None:
    bench = Bench(max_queued=9)
    first, second, third = (bench.add() for _ in range(3))
    bench.answer(third, b"3")
    bench.backlog.withdraw(third)
    await bench.backlog.say(b"4")
    bench.answer(second, b"2")
    bench.backlog.withdraw(second)
    assert bench.said == []
    assert bench.backlog.waiting == []
    bench.answer(first, b"1")
    assert bench.said == [b"1", b"2", b"3", b"4"]
    bench.end(first)
    assert bench.backlog.empty
    assert bench.started == [first]


async def test_what_stands_behind_a_request_that_waits_to_run_waits_with_it() -> None:
    bench = Bench(max_queued=9)
    first, second = bench.add(), bench.add()
    await bench.backlog.say(b"3")
    bench.answer(first, b"1")
    assert bench.said == [b"1"]
    bench.end(first)
    assert bench.started == [first, second]
    assert bench.said == []
    bench.answer(second, b"2")
    assert bench.said == [b"2", b"3"]


async def test_what_is_first_is_said_while_the_last_one_still_works() -> None:
    """A synchronous view that was given up runs on: it delays what runs, not what is only said."""
    bench = Bench(max_queued=9)
    first = bench.add()
    bench.answer(first, b"1")
    await bench.backlog.say(b"2")
    assert bench.said == [b"1", b"2"]
    second = bench.add()
    bench.answer(second, b"3")
    assert bench.said == [b"3"]
    bench.end(first)
    assert bench.started == [first]


async def test_with_nothing_before_it_a_refusal_goes_at_once() -> None:
    bench = Bench(max_in_flight=1, max_queued=1)
    bench.add(1)
    bench.add(2)  # no place is free
    await bench.backlog.say(b"refused")
    assert bench.said == [b"refused"]


async def test_what_waits_to_be_said_takes_a_place() -> None:
    bench = Bench(max_in_flight=1, max_queued=1)
    first = bench.add()
    await bench.backlog.say(b"2")
    later = asyncio.ensure_future(bench.backlog.say(b"3"))
    await settle()
    assert not later.done()
    bench.answer(first, b"1")
    await later
    assert bench.said == [b"1", b"2", b"3"]


async def test_a_place_is_waited_for() -> None:
    bench = Bench(max_in_flight=1, max_queued=1)
    first, second = bench.add(1), bench.add(2)
    waiting = asyncio.ensure_future(bench.backlog.place_free())
    await settle()
    assert not waiting.done()
    bench.answer(second, b"")
    bench.backlog.withdraw(second)
    await waiting
    bench.add(3)
    waiting = asyncio.ensure_future(bench.backlog.place_free())
    await settle()
    assert not waiting.done()
    bench.end(first)
    await settle()
    assert waiting.done()


async def test_what_is_forgotten_does_not_run() -> None:
    bench = Bench(max_in_flight=1, max_queued=9)
    first, second, third = bench.add(1), bench.add(2), bench.add()
    await bench.backlog.say(b"refused")
    assert bench.backlog.discard() == [third, second]
    bench.end(first)
    assert bench.started == [first]
    assert bench.backlog.empty


# --- in a session --------------------------------------------------------------------------------


async def pulled(peer: MemoryConnection, number: int) -> list[Any]:
    messages: list[Any] = []
    while len(messages) < number:
        frame = await peer.transport.pull()
        messages += frame if isinstance(frame, list) else [frame]
    return messages


@pytest.mark.parametrize("seed", [True, False])
async def test_a_refusal_is_not_taken_for_the_answer_before_it(gate: Gate, seed: bool) -> None:
    async with connection(subprotocols=() if seed else ("wsrequest.v1.json",)) as peer:
        peer.transport.push({"url": f"/agate/{gate.name}/"})
        peer.transport._incoming.put_nowait("not JSON")
        peer.transport.push({"url": "/hello/"})
        await gate.entered.reached(1)
        peer.transport.push({"id": 1})
        (first,) = await pulled(peer, 1)
        assert (first["id"], first["status"]) == (1, 400)
        gate.open()
        answers = await pulled(peer, 3)
        assert [answer["status"] for answer in answers] == [200, 400, 200]
        assert answers[2]["data"] == "hello"


@pytest.mark.parametrize("by", ["reading", "writing"])
async def test_nothing_is_left_of_who_is_gone(gate: Gate, settings: Settings, by: str) -> None:
    """A client chooses how long a timeout runs: its timer must not keep the connection for so long."""
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1}
    async with connection() as peer:
        for number in range(1, 4):
            url = f"/agate/{gate.name}/"
            peer.transport.push({"id": number, "url": url, "timeout": 2**53 - 1})
            peer.transport.push({"url": url, "timeout": 2**53 - 1})
        await gate.entered.reached(1)
        await settle()
        if by == "writing":
            peer.transport.error = ConnectionResetError()
            peer.session.outbox.put(b'{"pong":1}')
            await settle()
        session = weakref.ref(peer.session)
        await peer.leave()
        await gate.cancelled.reached(1)
        await settle()
        peer.transport.error = None  # its traceback has been there
        peer.session = None  # type: ignore[assignment]
    async with asyncio.timeout(PATIENCE):
        while session() is not None:  # a thread may just be coming back
            await settle()
            gc.collect()


# --- shutting down -------------------------------------------------------------------------------


async def test_who_has_nothing_under_way_is_closed_at_once() -> None:
    async with connection() as peer:
        await settle()
        peer.session.go_away(2.5)
        peer.session.go_away(9)
        assert await peer.transport.pull() == {"control": "goaway", "data": {"delay": 2.5}}
        await peer.task
        assert peer.transport.closed_with == 4200


async def test_what_was_taken_up_is_answered_before_the_close(
    gate: Gate, settings: Settings
) -> None:
    """Also what stands in a frame that is being read, and waits for a place."""
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 1}
    async with connection() as peer:
        url = f"/agate/{gate.name}/"
        peer.transport.push(*({"id": number, "url": url} for number in range(1, 7)))
        await gate.entered.reached(1)
        await settle()
        peer.session.go_away(1)
        assert (await peer.transport.pull())["control"] == "goaway"
        gate.open()
        answers = {answer["id"]: answer["status"] for answer in await pulled(peer, 6)}
        assert answers == {1: 200, 2: 200, 3: 200, 4: 503, 5: 503, 6: 503}
        await peer.task
        assert peer.transport.closed_with == 4200


@pytest.mark.parametrize("view", ["endless", "agated-stream", "gated-stream"])
async def test_a_stream_goes_on_until_it_is_cut_short(gate: Gate, view: str) -> None:
    async with connection() as peer:
        peer.transport.push({"id": 1, "url": f"/{view}/{gate.name}/"})
        await gate.entered.reached(1)
        peer.session.go_away(1)
        while not any("control" in message for message in await pulled(peer, 1)):
            pass
        assert not peer.task.done()
        peer.session.cut_short()
        await peer.task
        assert peer.transport.closed_with == 4200
        end = peer.transport.pulled()[-1]
        assert (end["id"], end["end"], end["status"]) == (1, True, 503)
        gate.open()
        await gate.left.reached(1)


async def test_views_that_end_after_all_is_over_hurt_nobody(
    new_gate: Callable[[], Gate], settings: Settings
) -> None:
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 2}
    late, never = new_gate(), new_gate()
    async with connection() as peer:
        peer.transport.push({"id": 1, "url": f"/gate/{late.name}/"})
        peer.transport.push({"url": f"/gate/{late.name}/"})
        peer.transport.push({"id": 2, "url": f"/gate/{never.name}/"})
        peer.transport.push({"url": f"/gate/{never.name}/"})
        await late.entered.reached(2)
        await settle()
        peer.session.go_away(1)
        peer.session.cut_short()
        peer.session.cut_short()
        await peer.task
        messages = peer.transport.pulled()[1:]
        assert sorted(message.get("id", 0) for message in messages) == [0, 0, 1, 2]
        assert {message["data"]["code"] for message in messages} == {"shut_down"}
        assert {message["headers"]["retry-after"] for message in messages} == {"1"}
        late.open()
        await late.left.reached(2)
        await settle()
        assert peer.transport.pulled() == []
        assert peer.transport.closed_with == 4200
    assert never.entered.count == 0


async def test_a_request_that_was_read_too_late_is_answered(gate: Gate, settings: Settings) -> None:
    """It waits for a place, and when it gets one all is over."""
    settings.WSREQUEST = {"MAX_IN_FLIGHT": 1, "MAX_QUEUED": 1}
    async with connection() as peer:
        url = f"/agate/{gate.name}/"
        peer.transport.push(*({"id": number, "url": url} for number in range(1, 4)))
        await gate.entered.reached(1)
        await settle()
        peer.session.go_away(1)
        peer.session.cut_short()
        await peer.task
        answers = peer.transport.pulled()[1:]
        assert sorted(answer["id"] for answer in answers) == [1, 2, 3]
        assert {answer["data"]["code"] for answer in answers} == {"shut_down"}


async def test_a_peer_that_does_not_read_is_not_waited_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsrequest.session.session.CLOSE_TIMEOUT", 0.05)
    async with connection() as peer:
        peer.transport.stall()
        peer.transport.push({"ping": 1})
        await settle()
        peer.session.go_away(1)
        await settle()
        assert not peer.task.done()
        peer.session.cut_short()
        await peer.task
        assert peer.transport.closed_with == 4200


async def test_a_seed_connection_is_not_told_and_answered_all_the_same(gate: Gate) -> None:
    async with connection(subprotocols=()) as peer:
        peer.transport.push({"url": f"/agate/{gate.name}/"})
        await gate.entered.reached(1)
        peer.session.go_away(0.5)
        peer.transport.push({"url": "/hello/"})
        await settle()
        gate.open()
        first, second = await pulled(peer, 2)
        assert first["data"] == f"through {gate.name}"
        assert second["data"]["code"] == "going_away"
        assert second["headers"]["retry-after"] == "1"
        await peer.task
        assert peer.transport.closed_with == 4200
