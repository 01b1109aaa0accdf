"""A client that does not read: what each policy does at MAX_OUTBOX_BYTES and past it, and who hears of it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.metrics.recorder import Recorder
from tests.metrics.recorder import recorder as the_recorder
from tests.subscribe.test_subscribe import pulled, subscribe
from tests.subscribe.urls import asked, state
from tests.support.memory import MemoryConnection, connection, settle
from wsrequest import apublish

ROOM = 4000


@pytest.fixture(autouse=True)
def recorder(project: None, settings: Settings) -> Recorder:
    settings.WSREQUEST = {
        "MAX_OUTBOX_BYTES": ROOM,
        "METRICS": "tests.metrics.recorder.recorder",
        "TOPICS": {
            "/thing/latest/": {"SLOW": "latest"},
            "/thing/close/": {"SLOW": "close"},
        },
    }
    the_recorder.reset()
    return the_recorder


async def stalled(peer: MemoryConnection, url: str) -> Any:
    """Subscribed; and from here on the client reads nothing."""
    answer = await subscribe(peer, url)
    peer.transport.stall()
    return answer["subscription"]


async def fill(peer: MemoryConnection, url: str) -> int:
    """Publish until the outbox is just full: nothing had to be left out. Returns the last offset."""
    offset = 0
    outbox = peer.session.outbox
    while not outbox.full:
        await apublish(url, "x" * 100)
        offset += 1
        async with asyncio.timeout(20):
            await settle()
    assert outbox.size >= ROOM
    return offset


@pytest.mark.parametrize("policy", ["resync", "latest", "close"])
async def test_up_to_the_limit_nothing_is_left_out(policy: str, recorder: Recorder) -> None:
    url = f"/thing/{policy}/"
    async with connection() as peer:
        await stalled(peer, url)
        offset = await fill(peer, url)
        peer.transport.flow()
        events = await pulled(peer, offset)
        assert [event["offset"] for event in events] == list(range(1, offset + 1))
        await apublish(url, "next")
        (event,) = await pulled(peer, 1)
        assert event == {"id": 1, "event": "message", "data": "next", "offset": offset + 1}
    assert recorder.labelled("slow_consumers") == {}


async def test_resync(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    async with connection() as peer:
        position = await stalled(peer, "/thing/resync/")
        offset = await fill(peer, "/thing/resync/")
        state["resync"] = "new"
        for _ in range(3):
            await apublish("/thing/resync/", "too much")
            await settle()
        assert asked == {"resync": 1}  # there is no room for the answer, either
        peer.transport.flow()
        *events, lost, replace = await pulled(peer, offset + 2)
        assert [event["offset"] for event in events] == list(range(1, offset + 1))
        assert lost == {
            "id": 1,
            "event": "lost",
            "data": {"from": offset + 1, "to": offset + 1, "why": "slow"},
        }
        assert replace == {
            "id": 1,
            "event": "replace",
            "data": {"name": "resync", "state": "new"},
            "rev": 1,
            "epoch": position["epoch"],
            "offset": offset + 3,
        }
        await apublish("/thing/resync/", "next")
        (event,) = await pulled(peer, 1)
        assert event["offset"] == offset + 4
    assert recorder.labelled("slow_consumers") == {("resync",): 1}
    assert said(caplog, "resync") == 1


async def test_latest(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    async with connection() as peer:
        await stalled(peer, "/thing/latest/")
        offset = await fill(peer, "/thing/latest/")
        for number in range(5):
            await apublish("/thing/latest/", number)
            await apublish("/thing/latest/", "for another", to=99)
            await settle()
        peer.transport.flow()
        *_, event = await pulled(peer, offset + 1)
        assert event == {
            "id": 1,
            "skip": 8,
            "event": "message",
            "data": 4,
            "offset": offset + 9,
        }
        await apublish("/thing/latest/", "next")
        (event,) = await pulled(peer, 1)
        assert (event["offset"], event["skip"]) == (offset + 11, 1)
        assert asked == {"latest": 1}
    assert recorder.labelled("slow_consumers") == {("latest",): 5}
    assert said(caplog, "latest") == 1


async def test_close(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    async with connection() as peer:
        await stalled(peer, "/thing/close/")
        await fill(peer, "/thing/close/")
        for _ in range(3):
            await apublish("/thing/close/", "too much")
        async with asyncio.timeout(20):
            await peer.task
        assert peer.transport.closed_with == 4102
    assert recorder.labelled("slow_consumers") == {("close",): 1}
    assert said(caplog, "close") == 1


async def test_what_is_for_others_needs_no_room(recorder: Recorder) -> None:
    async with connection() as peer:
        await stalled(peer, "/thing/resync/")
        offset = await fill(peer, "/thing/resync/")
        await apublish("/thing/resync/", "for another", to=99)
        await settle()
        peer.transport.flow()
        await pulled(peer, offset)
        await apublish("/thing/resync/", "for all")
        (event,) = await pulled(peer, 1)
        assert (event["offset"], event["skip"]) == (offset + 2, 1)
    assert recorder.labelled("slow_consumers") == {}


async def test_a_large_state_is_not_a_slow_client(recorder: Recorder) -> None:
    """It fills the outbox by itself; what happens until it is sent waits."""
    state["resync"] = "x" * 2 * ROOM
    async with connection() as peer:
        peer.transport.stall()
        peer.transport.push({"id": 1, "method": "SUBSCRIBE", "url": "/thing/resync/"})
        async with asyncio.timeout(20):
            while not peer.session.outbox.full:  # noqa: ASYNC110 (a view runs on a thread)
                await asyncio.sleep(0.005)
        await apublish("/thing/resync/", 1)
        await apublish("/thing/resync/", 2)
        await settle()
        peer.transport.flow()
        answer, *events = await pulled(peer, 3)
        assert answer["status"] == 200
        assert [event["data"] for event in events] == [1, 2]
    assert recorder.labelled("slow_consumers") == {}


async def test_neighbours_don_t_wait(recorder: Recorder) -> None:
    async with connection() as slow, connection() as quick:
        await stalled(slow, "/thing/resync/")
        await subscribe(quick, "/thing/resync/")
        for number in range(200):
            await apublish("/thing/resync/", "x" * 100)
            (event,) = await pulled(quick, 1)
            assert event["offset"] == number + 1
        slow.transport.flow()


def said(caplog: pytest.LogCaptureFixture, policy: str) -> int:
    return sum(
        record.name == "wsrequest.push"
        and record.levelno == logging.WARNING
        and "does not read" in record.getMessage()
        and policy in record.getMessage()
        for record in caplog.records
    )
